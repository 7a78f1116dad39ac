"""Checkpoints are whole or absent; the average and its order; nothing is unpickled."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

from udpdiff.training.checkpointing import (
    Checkpoint,
    checkpoint_steps,
    load_checkpoint,
    save_checkpoint,
)
from udpdiff.training.ema import WeightAverage


def make_checkpoint(step: int) -> Checkpoint:
    weights = {"w": torch.full((2, 3), float(step)).T}  # not contiguous, as tied or transposed weights may be
    optimizer = {"state": {0: {"step": torch.tensor(1.0), "exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 0.1}]}
    return Checkpoint(step, "abc", weights, {"w": torch.zeros(3, 2)}, optimizer, {"seconds": 1.5})


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    saved = make_checkpoint(3)
    save_checkpoint(tmp_path, saved)
    loaded = load_checkpoint(tmp_path, 3)
    assert (loaded.step, loaded.fingerprint, loaded.extra) == (3, "abc", {"seconds": 1.5})
    assert torch.equal(loaded.weights["w"], saved.weights["w"])
    assert torch.equal(loaded.average["w"], saved.average["w"])
    assert torch.equal(loaded.optimizer["state"][0]["exp_avg"], torch.ones(2))
    assert loaded.optimizer["param_groups"] == [{"lr": 0.1}]


def test_the_newest_two_are_kept(tmp_path):
    for step in (5, 10, 100, 15):
        save_checkpoint(tmp_path, make_checkpoint(step))
    assert checkpoint_steps(tmp_path) == [15, 100]


def test_half_a_checkpoint_does_not_count(tmp_path):
    (tmp_path / ".checkpoint-7.part").mkdir()
    save_checkpoint(tmp_path, make_checkpoint(5))
    assert checkpoint_steps(tmp_path) == [5]
    save_checkpoint(tmp_path, make_checkpoint(7))
    assert checkpoint_steps(tmp_path) == [5, 7]
    assert checkpoint_steps(tmp_path / "absent") == []


class _Evil:
    def __reduce__(self):
        return (print, ("unpickled",))


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path, capsys):
    path = save_checkpoint(tmp_path, make_checkpoint(1))
    torch.save({"state": _Evil()}, path / "optimizer.pt")
    with pytest.raises(pickle.UnpicklingError):
        load_checkpoint(tmp_path, 1)
    assert "unpickled" not in capsys.readouterr().out


def test_the_average_follows_the_definition():
    layer = nn.Linear(2, 2)
    average = WeightAverage(layer.named_parameters(), decay=0.5)
    expected = layer.weight.detach().clone()
    for step in range(1, 20):
        with torch.no_grad():
            layer.weight += torch.randn(2, 2)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * layer.weight.detach()
    torch.testing.assert_close(average.weights["weight"], expected)
    with pytest.raises(ValueError, match="other parameters"):
        average.load({"bias": torch.zeros(2)})
