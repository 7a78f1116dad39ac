"""Checkpoints are whole or absent, damage is noticed, the average and its order; nothing is unpickled."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from udpdiff.training.checkpoint import (
    Checkpoint,
    DamagedCheckpoint,
    checkpoint_steps,
    load_checkpoint,
    load_newest,
    save_checkpoint,
)
from udpdiff.training.optimizer import weight_average

FILES = ("weights.safetensors", "average.safetensors", "optimizer.pt", "state.json")


def make_checkpoint(step: int) -> Checkpoint:
    weights = {"w": torch.full((2, 3), float(step)).T}  # not contiguous, as tied or transposed weights may be
    optimizer = {"state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}
    return Checkpoint(step, {"fingerprint": "abc"}, weights, {"w": torch.zeros(3, 2)}, optimizer, {"seconds": 1.5})


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    saved = make_checkpoint(3)
    save_checkpoint(tmp_path, saved)
    loaded = load_checkpoint(tmp_path, 3)
    assert (loaded.step, loaded.identity, loaded.extra) == (3, {"fingerprint": "abc"}, {"seconds": 1.5})
    assert torch.equal(loaded.weights["w"], saved.weights["w"])
    assert torch.equal(loaded.average["w"], saved.average["w"])
    assert torch.equal(loaded.optimizer["state"][0]["exp_avg"], torch.ones(2))
    assert loaded.optimizer["param_groups"] == [{"lr": 0.1}]


def test_the_newest_two_are_kept(tmp_path):
    for step in (5, 10, 100):
        save_checkpoint(tmp_path, make_checkpoint(step))
    assert checkpoint_steps(tmp_path) == [10, 100]
    # A training that goes on before the last one found it damaged; it must not push out the good ones.
    save_checkpoint(tmp_path, make_checkpoint(15))
    assert checkpoint_steps(tmp_path) == [10, 15]


def test_half_a_checkpoint_does_not_count(tmp_path):
    (tmp_path / ".checkpoint-7.new").mkdir()
    save_checkpoint(tmp_path, make_checkpoint(5))
    assert checkpoint_steps(tmp_path) == [5]
    save_checkpoint(tmp_path, make_checkpoint(7))
    assert checkpoint_steps(tmp_path) == [5, 7]
    assert checkpoint_steps(tmp_path / "absent") == []


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-4] ^= 0xFF
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("harm", [cut, Path.unlink, lambda path: path.write_bytes(b"")], ids=["cut", "gone", "empty"])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(tmp_path, file, harm):
    for step in (5, 10):
        save_checkpoint(tmp_path, make_checkpoint(step))
    harm(tmp_path / "checkpoint-10" / file)
    with pytest.raises(DamagedCheckpoint, match=f"checkpoint-10/{file}.*damaged"):
        load_checkpoint(tmp_path, 10)
    checkpoint, faults = load_newest(tmp_path)
    assert checkpoint.step == 5
    assert len(faults) == 1 and file in faults[0]


@pytest.mark.parametrize("file", FILES[:3])
def test_four_flipped_bits_are_noticed(tmp_path, file):
    flip(save_checkpoint(tmp_path, make_checkpoint(1)) / file)
    checkpoint, faults = load_newest(tmp_path)
    assert checkpoint is None and file in faults[0]


class _Evil:
    def __reduce__(self):
        return (print, ("unpickled",))


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path, capsys):
    path = save_checkpoint(tmp_path, make_checkpoint(1))
    torch.save({"state": _Evil()}, path / "optimizer.pt")
    state = json.loads((path / "state.json").read_text())
    state["sha256"]["optimizer.pt"] = hashlib.sha256((path / "optimizer.pt").read_bytes()).hexdigest()
    (path / "state.json").write_text(json.dumps(state))
    with pytest.raises(pickle.UnpicklingError):
        load_checkpoint(tmp_path, 1)
    assert "unpickled" not in capsys.readouterr().out


@pytest.mark.parametrize("limit", [0.25, 0.999])
def test_the_average_follows_the_formula(limit):
    layer = nn.Linear(2, 2)
    average = weight_average(layer.parameters(), limit)
    expected = layer.weight.detach().clone()
    for step in range(1, 6):
        with torch.no_grad():
            layer.weight += torch.randn(2, 2)
        average.step(layer.parameters())
        decay = min(limit, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * layer.weight.detach()
        torch.testing.assert_close(average.shadow_params[0], expected)
    assert average.cur_decay_value == min(limit, 6 / 15)


def test_an_average_of_rounded_weights_is_refused():
    with pytest.raises(AssertionError):
        weight_average(nn.Linear(2, 2).bfloat16().parameters(), 0.9)
