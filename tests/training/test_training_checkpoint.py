"""Checkpoints are whole or absent, damage is noticed, the average and its order; nothing is unpickled."""

from __future__ import annotations

import errno
import hashlib
import json
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from udpdiff.storage.errors import StorageError
from udpdiff.storage.sealed import read_record, write_record
from udpdiff.training.checkpoint import (
    DamagedCheckpoint,
    check_checkpoint,
    checkpoint_steps,
    drop_leftovers,
    has_optimizer,
    keep_result,
    load_part,
    load_result,
    newest_checkpoint,
    read_state,
    save_checkpoint,
)
from udpdiff.training.optimizer import weight_average

FILE = "shard-00001-model-00001-of-00001.safetensors"
FILES = (f"weights/{FILE}", f"average/{FILE}", f"optimizer/{FILE}", "state.json")


def make_parts(step: int) -> dict[str, dict[str, torch.Tensor]]:
    return {
        "weights": {"w": torch.full((2, 3), float(step)).T},  # not contiguous, as tied or transposed weights may be
        "average": {"w": torch.zeros(3, 2)},
        "optimizer": {"w.step": torch.tensor(1.0), "w.exp_avg": torch.ones(3, 2)},
    }


def result(folder: Path, step: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    tensors = {"w": torch.empty(3, 2, dtype=dtype)}
    load_result(folder, step, tensors)
    return tensors["w"]


def save(folder: Path, step: int) -> Path:
    return save_checkpoint(folder, step, {"fingerprint": "abc"}, make_parts(step), {"seconds": 1.5})


def test_a_checkpoint_comes_back_as_it_was(tmp_path):
    save(tmp_path, 3)
    state = check_checkpoint(tmp_path, 3)
    assert (state["step"], state["identity"], state["extra"]) == (3, {"fingerprint": "abc"}, {"seconds": 1.5})
    saved, loaded = make_parts(3), {}
    for part, tensors in saved.items():
        loaded[part] = {name: torch.full_like(tensor, -1) for name, tensor in tensors.items()}
        load_part(tmp_path, 3, part, loaded[part])
        assert all(torch.equal(loaded[part][name], tensor) for name, tensor in tensors.items())
    assert torch.equal(result(tmp_path, 3), saved["average"]["w"])


def test_tensors_of_another_network_are_refused(tmp_path):
    save(tmp_path, 3)
    for tensors in ({"w": torch.zeros(2, 2)}, {"v": torch.zeros(3, 2)}):
        with pytest.raises(ValueError, match="written by another network"):
            load_part(tmp_path, 3, "weights", tensors)


def test_the_newest_two_are_kept(tmp_path):
    for step in (5, 10, 100):
        save(tmp_path, step)
    assert checkpoint_steps(tmp_path) == [10, 100]
    # A training that goes on before the last one found it damaged; it must not push out the good ones.
    save(tmp_path, 15)
    assert checkpoint_steps(tmp_path) == [10, 15]


def test_of_a_completed_training_the_result_stays(tmp_path):
    for step in (5, 10):
        save(tmp_path, step)
    keep_result(tmp_path, 10, keep_optimizer=True)
    assert checkpoint_steps(tmp_path) == [10] and has_optimizer(read_state(tmp_path, 10))
    before = result(tmp_path, 10)
    for _ in range(2):  # a second time, nothing is left to drop
        keep_result(tmp_path, 10, keep_optimizer=False)
        assert sorted(path.name for path in (tmp_path / "checkpoint-10").iterdir()) == ["average", "state.json"]
        assert not has_optimizer(check_checkpoint(tmp_path, 10))
        assert torch.equal(result(tmp_path, 10), before)


def test_half_a_checkpoint_does_not_count(tmp_path):
    (tmp_path / ".checkpoint-7.new").mkdir()
    save(tmp_path, 5)
    assert checkpoint_steps(tmp_path) == [5]
    save(tmp_path, 7)
    assert checkpoint_steps(tmp_path) == [5, 7]
    assert checkpoint_steps(tmp_path / "absent") == []


def test_what_killed_processes_left_is_dropped(tmp_path):
    for step in (5, 10):
        save(tmp_path, step)
    for name in (".checkpoint-7.new", ".checkpoint-10.old"):
        (tmp_path / name / "weights").mkdir(parents=True)
    (tmp_path / "checkpoint-5").rename(tmp_path / ".checkpoint-5.old")  # killed between two renames
    record = read_record(tmp_path / "checkpoint-10" / "state.json")
    record["sha256"] = {name: value for name, value in record["sha256"].items() if name.startswith("average/")}
    write_record(tmp_path / "checkpoint-10" / "state.json", record)  # killed before what it names no more was dropped
    (tmp_path / "lock").touch()
    drop_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-5", "lock"]
    assert sorted(path.name for path in (tmp_path / "checkpoint-10").iterdir()) == ["average", "state.json"]
    assert {"weights", "average", "optimizer"} <= {path.name for path in (tmp_path / "checkpoint-5").iterdir()}
    assert [check_checkpoint(tmp_path, step)["step"] for step in (5, 10)] == [5, 10]

    (tmp_path / "checkpoint-5" / "state.json").write_text("{}")  # what a damaged state does not name is not judged
    drop_leftovers(tmp_path)
    assert (tmp_path / "checkpoint-5" / "optimizer").is_dir()


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
        save(tmp_path, step)
    harm(tmp_path / "checkpoint-10" / file)
    with pytest.raises(DamagedCheckpoint, match=f"checkpoint-10/{file}.*damaged"):
        check_checkpoint(tmp_path, 10)
    state, faults = newest_checkpoint(tmp_path)
    assert state["step"] == 5
    assert len(faults) == 1 and file in faults[0]


@pytest.mark.parametrize("file", FILES[:3])
def test_four_flipped_bits_are_noticed(tmp_path, file):
    flip(save(tmp_path, 1) / file)
    state, faults = newest_checkpoint(tmp_path)
    assert state is None and file in faults[0]


def test_a_damaged_result_is_not_exported(tmp_path):
    flip(save(tmp_path, 1) / FILES[1])
    with pytest.raises(DamagedCheckpoint, match="average"):
        result(tmp_path, 1)


def test_a_disk_that_is_full_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    from torch.distributed.checkpoint.filesystem import FileSystem

    save(tmp_path, 5)

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FileSystem, "create_stream", full)
    with pytest.raises(StorageError, match=r"checkpoint-10: cannot be written.*No space left"):
        save(tmp_path, 10)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-5"]
    assert newest_checkpoint(tmp_path)[0]["step"] == 5


def test_a_file_that_would_run_code_is_refused(tmp_path, capsys):
    class Evil:
        def __reduce__(self):
            return (print, ("unpickled",))

    path = save(tmp_path, 1) / FILES[0]
    torch.save({"w": Evil()}, path)
    state_path = tmp_path / "checkpoint-1" / "state.json"
    state = json.loads(state_path.read_text())
    state["sha256"][FILES[0]] = hashlib.sha256(path.read_bytes()).hexdigest()
    state_path.write_text(json.dumps(state))
    with pytest.raises(SafetensorError):
        load_part(tmp_path, 1, "weights", make_parts(1)["weights"])
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
