"""Whole trainings at tiny size: learning, determinism, exact resume, and what each run writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from udpdiff.training.log import read_log
from udpdiff.training.loop import train
from udpdiff.training.settings import TrainingSettings
from udpdiff.training.stepping import TrainingDiverged, learning_rate_at


def checkpoint(folder: Path, step: int) -> dict:
    """All tensors of a checkpoint, by file and name."""
    path = folder / f"checkpoint-{step}"
    tensors = {
        (file.name, name): value for file in path.glob("*.safetensors") for name, value in load_file(file).items()
    }
    for number, state in torch.load(path / "optimizer.pt", weights_only=True)["state"].items():
        tensors |= {("optimizer", number, name): value for name, value in state.items()}
    return tensors


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
def test_five_steps_and_five_equal_ten_bit_for_bit(optimizer, tmp_path, make_settings, make_source):
    source = make_source("seg", "depth")
    # log_every_steps 4: the log's window is cut at step 5 and must be taken up.
    whole = make_settings(steps=10, optimizer=optimizer, ema_decay=0.9, log_every_steps=4)
    train(whole, source, tmp_path / "whole", tmp_path / "run")
    for steps in (5, 10):
        part = make_settings(
            steps=steps, optimizer=optimizer, ema_decay=0.9, log_every_steps=4, checkpoint_every_steps=5
        )
        train(part, source, tmp_path / "parts", tmp_path / "run")
    assert {file for file, *_ in checkpoint(tmp_path / "whole", 10)} == {
        "weights.safetensors",
        "average.safetensors",
        "optimizer",
    }
    assert_equal(checkpoint(tmp_path / "whole", 10), checkpoint(tmp_path / "parts", 10))
    by_step = {entry["step"]: entry for entry in losses(tmp_path / "parts")}
    assert [by_step[4], by_step[10]] == [losses(tmp_path / "whole")[0], losses(tmp_path / "whole")[-1]]


def test_equal_seeds_give_equal_runs_however_they_are_executed(tmp_path, make_settings, make_source):
    runs = {"one": {}, "again": {}, "other": {"seed": 6}, "workers": {"num_workers": 1}}
    for name, changes in runs.items():
        train(make_settings(**changes), make_source("seg", "depth"), tmp_path / name, tmp_path / "run")
    one = checkpoint(tmp_path / "one", 4)
    assert_equal(one, checkpoint(tmp_path / "again", 4))
    assert_equal(one, checkpoint(tmp_path / "workers", 4))
    other = checkpoint(tmp_path / "other", 4)
    assert any(not torch.equal(one[name], other[name]) for name in one)


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
    assert entry["loss"] == pytest.approx((entry["loss_video"] + entry["loss_dense"]) / 2, rel=1e-5)
    assert entry["loss"] == pytest.approx(sum(entry["loss_task"].values()) / 2, rel=1e-5)
    assert entry["loss_task"].keys() == {"seg", "depth"}
    assert len(entry["loss_timestep"]) == 4
    assert entry["learning_rate"] == settings.learning_rate
    assert {"seconds", "steps_per_second", "seconds_left", "grad_norm", "compute_share"} <= entry.keys()


def test_validation_repeats_itself_on_clips_held_back(tmp_path, make_settings, make_source, write_streams):
    source = make_source("seg", "depth", streams=write_streams(tmp_path / "data", clips=10))
    # No learning: the same weights must give the same validation loss at every step.
    settings = make_settings(learning_rate=1e-30, validation_clips=5, validation_every_steps=2, weight_decay=0.0)
    train(settings, source, tmp_path / "state", tmp_path / "run")
    entries = [entry for entry in read_log(tmp_path / "state" / "train.jsonl") if "validation" in entry]
    assert [entry["step"] for entry in entries] == [2, 4]
    assert entries[0]["validation"] == entries[1]["validation"]
    assert entries[0]["validation"].keys() == {"loss", "loss_video", "loss_dense", "loss_task", "loss_timestep"}


def test_provenance_names_code_data_and_settings(tmp_path, make_settings, make_source):
    settings = make_settings()
    train(settings, make_source("seg", "depth"), tmp_path / "state", tmp_path / "run")
    record = json.loads((tmp_path / "run" / "provenance.json").read_text())
    assert TrainingSettings.from_dict(record["settings"]) == settings
    assert record["data_sha256"] == make_source("seg", "depth").digest()
    assert len(record["package_sha256"]) == 64
    assert record["versions"]["torch"] in torch.__version__
    assert record["wall_seconds"] > 0
    assert record["seed"] == settings.seed


def test_a_diverged_loss_stops_the_training_and_names_the_clips(tmp_path, make_settings, make_source):
    settings = make_settings(tasks={"seg": 1.0}, learning_rate=1e30, max_grad_norm=1e9, warmup_steps=0, steps=10)
    with pytest.raises(TrainingDiverged, match=r"diverged at step \d+.*not a finite number.*clip-00"):
        train(settings, make_source("seg"), tmp_path / "state", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_prompts_of_another_text_encoder_are_refused(tmp_path, make_settings, streams, base):
    import numpy as np

    from udpdiff.storage.dataset import LatentSource
    from udpdiff.storage.shards import ShardReader, ShardWriter

    with ShardWriter(tmp_path / "text.h5", "text", {"text_style": "plain"}) as writer:
        for clip_id in ShardReader(streams["plain"]).clip_ids:
            writer.add(clip_id, {name: np.zeros((48, 16), np.float16) for name in ("brief", "detailed")})
    source = LatentSource([streams["video"]], {}, {"plain": [tmp_path / "text.h5"]})
    with pytest.raises(ValueError, match=r"\(48, 16\), expected \(48, 32\)"):
        train(make_settings(tasks={}), source, tmp_path / "state", tmp_path / "run")


def test_learning_rate_warms_up_and_falls(make_settings):
    cosine = make_settings(steps=100, warmup_steps=10, schedule="cosine", learning_rate=1.0)
    rates = [learning_rate_at(cosine, step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5, abs=0.02)
    assert rates[99] < 0.001
    assert learning_rate_at(make_settings(warmup_steps=10, learning_rate=1.0), 10**6) == 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 5, "gradient_accumulation_steps": 2}, "batch_size: got 5, expected a multiple"),
        ({"objective": "x0"}, "objective: got 'x0'"),
        ({"tasks": {"seg": 0.5}}, "add up to 0.5, expected 1"),
        ({"steps": 0}, "steps: got 0"),
    ],
)
def test_impossible_settings_are_refused(make_settings, changes, message):
    with pytest.raises(ValueError, match=message):
        make_settings(**changes)


def test_settings_come_from_the_configuration():
    import yaml

    from udpdiff.config import parse

    config = parse(yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text()))
    multi = TrainingSettings.from_config(config, "multi_30_70")
    assert multi.tasks == {"seg": 0.3, "depth": 0.7}
    assert multi.learning_rate == config.training.learning_rate
    assert TrainingSettings.from_config(config, "base").tasks == {}
    assert TrainingSettings.from_dict(json.loads(json.dumps(multi.to_dict()))) == multi
    with pytest.raises(ValueError, match="Unknown training setting 'lr'"):
        TrainingSettings.from_dict({**multi.to_dict(), "lr": 1})
