"""Losses, gradients and weights that are not finite stop a training; what was saved before stays as it was."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from udpdiff.finite import NotFinite
from udpdiff.model.base_parts import load_scheduler
from udpdiff.storage.dataset import LatentSource
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.training.data import SampleDraws, TrainingBatch, split_clips
from udpdiff.training.export import export_run
from udpdiff.training.loop import train
from udpdiff.training.network import run_streams, starting_transformer
from udpdiff.training.step import Stepper, TrainingDiverged


def test_an_infinite_gradient_is_scaled_down_until_it_cannot_be(make_settings, make_source, base):
    """Under fp16 the scaler leaves such a step out; it would leave out all others too, without a word."""
    settings, accelerator = make_settings(), Accelerator()
    transformer = starting_transformer(settings, base)
    streams, source = run_streams(settings, transformer), make_source("seg", "depth")
    clips, _ = split_clips(source, None, tuple(settings.tasks), 0)
    draws = SampleDraws(clips, settings.tasks, len(streams), settings.seed, settings.batch_size).of_step(0)
    accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    stepper, batch = (
        Stepper(settings, transformer, load_scheduler(base), streams, accelerator),
        TrainingBatch.read(source, draws, streams),
    )
    name, weight = next(iter(stepper.trained.items()))
    before = weight.detach().clone()
    weight.register_hook(lambda gradient: gradient * math.inf)
    for _ in range(2):
        stepper.step(batch)
    with pytest.raises(TrainingDiverged, match=r"at any scale of the loss.*'fp16'.*'bf16'"):
        stepper.step(batch)
    assert torch.equal(weight, before), name


def broken_prompts(folder, streams, clips):
    """The prompts of the clips, of which some are infinite."""
    with (
        ShardReader(streams["plain"]) as whole,
        ShardWriter(folder / "text.h5", "text", {"text_style": "plain"}) as text,
    ):
        for clip_id, rows in whole.items():
            text.add(
                clip_id, {name: np.full_like(row, np.inf) if clip_id in clips else row for name, row in rows.items()}
            )
    return LatentSource([streams["video"]], {}, {"plain": [folder / "text.h5"]})


def test_a_validation_loss_that_is_not_finite_stops_the_training(tmp_path, make_settings, make_source, streams):
    settings = make_settings(tasks={}, validation_clips=2, validation_every_steps=2)
    broken = broken_prompts(tmp_path, streams, {f"clip-00{number}" for number in range(6)})
    with pytest.raises(TrainingDiverged, match=r"validation loss is (nan|inf) after step 2"):
        train(settings, make_source(), tmp_path / "state", tmp_path / "run", evaluation=broken)
    assert not (tmp_path / "run").exists()


def test_weights_that_are_not_finite_are_never_saved(tmp_path, make_settings, make_source, monkeypatch):
    step = Stepper.step

    def breaking(self, batch):
        losses = step(self, batch)
        if self.steps_done == 4:
            next(iter(self.trained.values())).data.flatten()[0] = math.inf
        return losses

    monkeypatch.setattr(Stepper, "step", breaking)
    settings = make_settings(tasks={"seg": 1.0}, checkpoint_every_steps=2)
    with pytest.raises(TrainingDiverged, match=r"multi: weights are infinite or no numbers after step 4"):
        train(settings, make_source("seg"), tmp_path / "state", tmp_path / "run")
    assert [path.name for path in (tmp_path / "state").glob("checkpoint-*")] == ["checkpoint-2"]


def test_weights_beyond_the_precision_are_not_exported(tmp_path, make_settings, make_source, monkeypatch):
    step = Stepper.step

    def growing(self, batch):
        losses = step(self, batch)
        next(iter(self.trained.values())).data.flatten()[0] = 1e6
        return losses

    monkeypatch.setattr(Stepper, "step", growing)
    settings = make_settings(tasks={"seg": 1.0}, steps=1)
    train(settings, make_source("seg"), tmp_path / "state", tmp_path / "run")
    half = make_settings(tasks={"seg": 1.0}, mixed_precision="fp16", steps=1)
    with pytest.raises(NotFinite, match=r"training\.mixed_precision: got 'float16', in which the weights "):
        export_run(half, tmp_path / "state", tmp_path / "half", 1)
    assert not (tmp_path / "half").exists()
