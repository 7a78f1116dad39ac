"""Several processes train as one does, sharded or not, and a run moves between any numbers of them."""

from __future__ import annotations

import json
import time
from dataclasses import asdict

import pytest
import torch
from training_process import run_processes

from udpdiff.training.log import read_log

# The paper's rate: a step of AdamW moves every weight by about this much, however small its gradient, so that the rounding
# of a sum shows at this scale.
RATE = 1e-5


@pytest.fixture
def launch(tmp_path, streams, make_settings):
    """Trains with so many processes; returns the exit code and what was said."""

    def train(
        processes: int, name: str, dies_after: int = -1, source=None, seconds=None, slow_export=0.0, **changes
    ) -> tuple[int, str]:
        settings = make_settings(**{"learning_rate": RATE, "steps": 4, "checkpoint_every_steps": 2, **changes})
        paths = {stream: str(path) for stream, path in (source or streams).items()}
        dense = {task: [paths[task]] for task in settings.tasks}
        job = {
            "settings": asdict(settings),
            "source": [[paths["video"]], dense, {"plain": [paths["plain"]]}],
            "state": f"{tmp_path}/{name}",
            "run": f"{tmp_path}/{name}-run",
            "dies_after": dies_after,
            "slow_export": slow_export,
            "deadline": seconds and time.time() + seconds,
            "sharded": settings.sharding == "full" and processes > 1,
        }
        codes, said = run_processes(processes, tmp_path, job)
        assert len(set(codes)) == 1, (codes, said)
        return codes[0], said

    return train


def difference(first: dict, second: dict) -> float:
    assert first.keys() == second.keys()
    return max(float((first[name].double() - second[name].double()).abs().max()) for name in first)


def weights(tensors: dict) -> dict:
    return {name: value for name, value in tensors.items() if not name.startswith("optimizer/")}


@pytest.mark.parametrize("sharding", ["none", "full"])
def test_two_processes_give_the_weights_of_one(tmp_path, launch, read_checkpoint, sharding, write_streams):
    source = write_streams(tmp_path / "data", clips=20)
    for processes in (1, 2):
        code, said = launch(
            processes, f"by{processes}", source=source, sharding=sharding, ema_decay=0.9, validation_clips=2,
            validation_every_steps=2, gradient_checkpointing=True,
        )  # fmt: skip
        assert code == 0, said
    one, two = (read_checkpoint(tmp_path / f"by{processes}", 4) for processes in (1, 2))
    assert {name.split("/")[0] for name in two} == {"weights", "average", "optimizer"}
    assert difference(weights(one), weights(two)) <= 1e-6
    logs = [read_log(tmp_path / f"by{processes}" / "train.jsonl") for processes in (1, 2)]
    assert [entry["step"] for entry in logs[0]] == [entry["step"] for entry in logs[1]]
    for entry, other in zip(*logs, strict=True):
        part, other_part = (each.get("validation", each) for each in (entry, other))
        for name in ("loss", "loss_video", "loss_dense", *([] if "validation" in entry else ["grad_norm"])):
            assert other_part[name] == pytest.approx(part[name], rel=1e-4), name
        by_clip, other_by_clip = (each.get("loss_video_clip", {}) for each in (part, other_part))
        assert other_by_clip == pytest.approx(by_clip, rel=1e-4)


@pytest.mark.parametrize("sharding", ["none", "full"])
def test_a_run_moves_between_one_two_and_four_processes(tmp_path, launch, read_checkpoint, sharding):
    assert launch(1, "whole", steps=8, sharding=sharding)[0] == 0
    # 4 processes, of which the task embedding's two rows and single numbers leave some without a part; then back.
    for processes, dies_after in ((1, 2), (4, 4), (2, 6)):
        code, said = launch(processes, "moved", dies_after, steps=8, sharding=sharding)
        assert code != 0 and "parameters are not" not in said, said
    code, said = launch(1, "moved", steps=8, sharding=sharding)
    assert code == 0 and "continuing at step 6 of 8" in said, said
    whole, moved = (read_checkpoint(tmp_path / name, 8) for name in ("whole", "moved"))
    assert difference(weights(whole), weights(moved)) <= 1e-6


def test_shards_compute_in_bfloat16(tmp_path, launch):
    losses = []
    for processes in (1, 2):
        options = {"mixed_precision": "bf16", "gradient_accumulation_steps": 2, "log_every_steps": 1}
        code, said = launch(processes, f"by{processes}", sharding="full", **options)
        assert code == 0, said
        losses.append([entry["loss"] for entry in read_log(tmp_path / f"by{processes}" / "train.jsonl")])
    assert losses[1] == pytest.approx(losses[0], rel=0.01)
    assert losses[1] != losses[0]


def test_any_seed_does_for_several_processes(launch):
    code, said = launch(2, "seeded", seed=2**63 - 1, steps=1)
    assert code == 0, said


@pytest.mark.parametrize("file", ["weights", "state.json"])
def test_all_processes_go_back_to_the_same_checkpoint(tmp_path, launch, read_checkpoint, file):
    options = {"steps": 6, "sharding": "full"}
    assert launch(2, "damaged", 5, **options)[0] != 0
    newest = tmp_path / "damaged" / "checkpoint-4"
    # What the second process wrote alone.
    harmed = newest / file if file == "state.json" else max((newest / file).iterdir())
    content = bytearray(harmed.read_bytes())
    content[-20] ^= 1
    harmed.write_bytes(content)
    code, said = launch(2, "damaged", **options)
    assert code == 0 and harmed.name in said and "continuing at step 2 of 6" in said, said
    assert set(read_checkpoint(tmp_path / "damaged", 6))


def test_no_process_ends_before_the_model_is_exported(tmp_path, launch):
    # srun ends the others of a step a while after the first one has ended.
    code, said = launch(2, "exported", steps=2, slow_export=3.0)
    assert code == 0, said
    assert "ended without the model" not in said
    assert (tmp_path / "exported-run" / "transformer").is_dir()


def test_low_rank_updates_are_trained_by_shards(tmp_path, launch, read_checkpoint):
    pytest.importorskip("peft")
    for processes in (1, 2):
        code, said = launch(processes, f"by{processes}", sharding="full", lora_rank=4)
        assert code == 0, said
    one, two = (read_checkpoint(tmp_path / f"by{processes}", 4) for processes in (1, 2))
    assert any("lora_A" in name for name in one)
    assert difference(weights(one), weights(two)) <= 1e-6


def test_all_processes_stop_together_and_exit_75(tmp_path, launch):
    code, said = launch(2, "stopped", sharding="full", steps=100000, seconds=6)
    assert code == 75, said
    state = max((tmp_path / "stopped").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    step = json.loads((state / "state.json").read_text())["step"]
    assert f"saved step {step} of 100000, goes on" in said


def test_a_failure_of_the_first_process_is_told_by_all(tmp_path, launch):
    assert launch(1, "done", steps=2, keep_optimizer=False)[0] == 0
    code, said = launch(2, "done", steps=4)
    assert code != 0
    assert "complete after 2, and the optimizer's state" in said


def test_processes_that_do_not_find_each_other_are_refused(monkeypatch):
    from accelerate import PartialState

    from udpdiff.training.processes import start_processes

    PartialState._reset_state()
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("LOCAL_RANK", "RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("accelerate.state.PartialState._prepare_backend", lambda *_: (None, None))
    with pytest.raises(ValueError, match="WORLD_SIZE: got 2 processes of which 1 joined"):
        start_processes("no", cpu=True)
    PartialState._reset_state()


def test_first_does_without_others():
    from udpdiff.training.processes import first_does, from_all, from_first

    assert first_does(lambda: 3) == 3
    assert from_all("a") == ["a"] and from_first(torch.ones(1)) == 1
