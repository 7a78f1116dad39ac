"""Whole trainings at tiny size: learning, determinism, exact resume, and what each run writes."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from udpdiff.storage.dataset import LatentSource
from udpdiff.storage.sealed import read_record, write_record
from udpdiff.training.data import held_back
from udpdiff.training.log import read_log
from udpdiff.training.loop import train
from udpdiff.training.step import TrainingDiverged

FILE = "shard-00001-model-00001-of-00001.safetensors"


def assert_equal(first: dict, second: dict) -> None:
    assert first.keys() == second.keys()
    different = [name for name in first if not torch.equal(first[name], second[name])]
    assert not different


def losses(folder: Path) -> list[tuple]:
    """What the log says about the steps, without times."""
    timed = ("seconds", "steps_per_second", "seconds_left", "compute_share")
    return [{k: v for k, v in entry.items() if k not in timed} for entry in read_log(folder / "train.jsonl")]


@pytest.mark.parametrize("tasks", [{}, {"seg": 1.0}])
def test_the_loss_falls_when_two_clips_are_overfitted(tmp_path, make_settings, make_source, write_streams, tasks):
    source = make_source(*tasks, streams=write_streams(tmp_path / "data", clips=2, colourings=1, flat=3.0))
    settings = make_settings(
        tasks=tasks, steps=40, batch_size=4, learning_rate=2e-2, log_every_steps=10, caption_dropout=0.0
    )
    train(settings, source, tmp_path / "state", tmp_path / "run")
    curve = [entry["loss"] for entry in read_log(tmp_path / "state" / "train.jsonl")]
    assert curve[-1] < 0.6 * curve[0]


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_resumed_run_equals_an_unbroken_one_bit_for_bit(
    optimizer, tmp_path, make_settings, make_source, write_streams, read_checkpoint, stop_after
):
    source = make_source("seg", "depth", streams=write_streams(tmp_path / "data", clips=20))
    # Entries at 4, 8 and 10: the log's window is cut at step 5 and must be taken up.
    settings = make_settings(
        steps=10,
        optimizer=optimizer,
        ema_decay=0.9,
        log_every_steps=4,
        checkpoint_every_steps=5,
        validation_every_steps=3,
        validation_clips=2,
    )
    train(settings, source, tmp_path / "whole", tmp_path / "run")

    with stop_after(7):
        train(settings, source, tmp_path / "parts", tmp_path / "run")
    state = tmp_path / "parts" / "checkpoint-5" / "state.json"
    content = read_record(state)
    content["extra"]["seconds"] += 1000
    write_record(state, content)
    train(settings, source, tmp_path / "parts", tmp_path / "run")

    assert {name.split("/")[0] for name in read_checkpoint(tmp_path / "whole", 10)} == {
        "weights",
        "average",
        "optimizer",
    }
    assert_equal(read_checkpoint(tmp_path / "whole", 10), read_checkpoint(tmp_path / "parts", 10))
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert [entry["step"] for entry in losses(tmp_path / "parts")] == [3, 4, 6, 8, 9, 10, 10]
    entries = read_log(tmp_path / "parts" / "train.jsonl")
    assert [entry["seconds"] > 1000 for entry in entries] == [False, False, True, True, True, True, True]
    assert json.loads((tmp_path / "parts" / "provenance.json").read_text())["wall_seconds"] > 1000


@pytest.mark.parametrize("file", [f"weights/{FILE}", f"optimizer/{FILE}", "state.json"])
def test_a_damaged_checkpoint_costs_the_steps_since_the_one_before(
    tmp_path, capsys, make_settings, make_source, read_checkpoint, stop_after, file
):
    settings = make_settings(tasks={"seg": 1.0}, steps=6, checkpoint_every_steps=2)
    train(settings, make_source("seg"), tmp_path / "whole", tmp_path / "run")
    with stop_after(4):
        train(settings, make_source("seg"), tmp_path / "state", tmp_path / "run")
    path = tmp_path / "state" / "checkpoint-4" / file
    path.write_bytes(path.read_bytes()[:-7])
    train(settings, make_source("seg"), tmp_path / "state", tmp_path / "run")
    message = capsys.readouterr().err
    assert f"checkpoint-4/{file}" in message and "damaged" in message and "continuing at step 2 of 6" in message
    assert_equal(read_checkpoint(tmp_path / "whole", 6), read_checkpoint(tmp_path / "state", 6))


def test_equal_seeds_give_equal_runs(tmp_path, make_settings, make_source, read_checkpoint):
    runs = {"one": {}, "again": {}, "other": {"seed": 6}}
    for name, changes in runs.items():
        train(make_settings(**changes), make_source("seg", "depth"), tmp_path / name, tmp_path / "run")
    one = read_checkpoint(tmp_path / "one", 4)
    assert_equal(one, read_checkpoint(tmp_path / "again", 4))
    other = read_checkpoint(tmp_path / "other", 4)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_any_seed_works(tmp_path, make_settings, make_source):
    settings = make_settings(seed=2**63 - 1, steps=1, init_in="resample", validation_clips=1)
    train(settings, make_source("seg", "depth"), tmp_path / "state", tmp_path / "run")


def test_accumulation_and_checkpointing_change_rounding_only(tmp_path, make_settings, make_source):
    runs = {"plain": {}, "thrifty": {"gradient_accumulation_steps": 2, "gradient_checkpointing": True}}
    for name, changes in runs.items():
        train(make_settings(steps=2, **changes), make_source("seg", "depth"), tmp_path / name, tmp_path / "run")
    plain, thrifty = losses(tmp_path / "plain"), losses(tmp_path / "thrifty")
    assert thrifty[0]["loss"] == pytest.approx(plain[0]["loss"], rel=1e-4)
    assert thrifty[0]["grad_norm"] == pytest.approx(plain[0]["grad_norm"], rel=1e-3)


def test_the_log_separates_streams_tasks_and_timesteps(tmp_path, make_settings, make_source):
    settings = make_settings(steps=6, log_every_steps=6, batch_size=8, validation_every_steps=3)
    train(settings, make_source("seg", "depth"), tmp_path / "state", tmp_path / "run", make_source("seg", "depth"))
    (entry,) = [entry for entry in read_log(tmp_path / "state" / "train.jsonl") if "loss" in entry]
    assert entry["loss_video"] != entry["loss_dense"]
    assert entry["loss"] == pytest.approx((entry["loss_video"] + entry["loss_dense"]) / 2, rel=1e-5)
    assert entry["loss"] == pytest.approx(sum(entry["loss_task"].values()) / 2, rel=1e-5)
    assert entry["loss_task"].keys() == {"seg", "depth"}
    assert len(entry["loss_timestep"]) == 4
    assert entry["learning_rate"] == settings.learning_rate
    assert {"seconds", "steps_per_second", "seconds_left", "grad_norm", "compute_share"} <= entry.keys()
    assert ("peak_gpu_gb" in entry) == torch.cuda.is_available()


def test_validation_repeats_itself_on_clips_held_back(tmp_path, make_settings, make_source, write_streams):
    source = make_source("seg", "depth", streams=write_streams(tmp_path / "data", clips=10))
    # No learning: the same weights must give the same validation loss at every step.
    settings = make_settings(learning_rate=1e-30, validation_clips=5, validation_every_steps=2, weight_decay=0.0)
    train(settings, source, tmp_path / "state", tmp_path / "run")
    entries = [entry for entry in read_log(tmp_path / "state" / "train.jsonl") if "validation" in entry]
    assert [entry["step"] for entry in entries] == [2, 4]
    assert entries[0]["validation"] == entries[1]["validation"]
    assert entries[0]["validation"].keys() == {
        "loss", "loss_video", "loss_dense", "loss_task", "loss_timestep", "loss_video_clip",
    }  # fmt: skip
    by_clip = entries[0]["validation"]["loss_video_clip"]
    assert by_clip.keys() == held_back(set(source.clip_ids()), 5)
    assert sum(by_clip.values()) / len(by_clip) == pytest.approx(entries[0]["validation"]["loss_video"])


class _Recording(LatentSource):
    """Counts how often each clip is read."""

    def __init__(self, *shards) -> None:
        super().__init__(*shards)
        self.reads = Counter()

    def read(self, clip_id, *choices):
        self.reads[clip_id] += 1
        return super().read(clip_id, *choices)


def test_clips_held_back_are_never_trained_on(tmp_path, make_settings, write_streams):
    paths = write_streams(tmp_path / "data", clips=20)
    source = _Recording([paths["video"]], {}, {"plain": [paths["plain"]]})
    train(make_settings(tasks={}, steps=10, validation_clips=8), source, tmp_path / "state", tmp_path / "run")
    aside = held_back(set(source.clip_ids()), 8)
    assert len(aside) == 2
    assert {clip_id: source.reads[clip_id] for clip_id in aside} == dict.fromkeys(aside, 4)  # one for each timestep
    assert set(source.reads) == set(source.clip_ids())


def test_provenance_names_code_data_and_settings(tmp_path, make_settings, make_source):
    settings = make_settings()
    train(settings, make_source("seg", "depth"), tmp_path / "state", tmp_path / "run")
    record = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert record["settings"] == json.loads(json.dumps(asdict(settings)))
    assert record["data_sha256"] == make_source("seg", "depth").digest()
    assert len(record["package_sha256"]) == 64
    assert record["versions"]["torch"] in torch.__version__
    assert record["wall_seconds"] > 0
    assert record["seed"] == settings.seed


def test_a_diverged_loss_stops_the_training_and_names_the_clips(tmp_path, monkeypatch, make_settings, make_source):
    source = make_source("seg")
    read = source.read

    def without_bounds(*arguments):
        example = read(*arguments)
        example.video_latents.fill_(float("inf"))
        return example

    monkeypatch.setattr(source, "read", without_bounds)
    with pytest.raises(TrainingDiverged, match=r"diverged at step 1: .*not a finite number.*clip-00"):
        train(make_settings(tasks={"seg": 1.0}), source, tmp_path / "state", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_prompts_of_another_text_encoder_are_refused(tmp_path, make_settings, streams, base):
    import numpy as np

    from udpdiff.storage.shards import ShardReader, ShardWriter

    with ShardWriter(tmp_path / "text.h5", "text", {"text_style": "plain"}) as writer:
        for clip_id in ShardReader(streams["plain"]).clip_ids:
            writer.add(clip_id, {name: np.zeros((48, 16), np.float16) for name in ("brief", "detailed")})
    source = LatentSource([streams["video"]], {}, {"plain": [tmp_path / "text.h5"]})
    with pytest.raises(ValueError, match=r"\(48, 16\), expected \(48, 32\)"):
        train(make_settings(tasks={}), source, tmp_path / "state", tmp_path / "run")
