"""What reaches the optimizer in a step: the step's own rate, and gradients no longer than allowed."""

from __future__ import annotations

import pytest
import torch
from accelerate import Accelerator

from udpdiff.model.base_parts import load_scheduler
from udpdiff.training.data import SampleDraws, TrainingBatch, split_clips
from udpdiff.training.network import run_streams, starting_transformer
from udpdiff.training.step import Stepper


def test_the_optimizer_gets_the_rate_of_its_step_and_clipped_gradients(make_settings, make_source, base, monkeypatch):
    settings = make_settings(warmup_steps=4, learning_rate=1e-3, max_grad_norm=0.01)
    transformer, source = starting_transformer(settings, base), make_source("seg", "depth")
    streams = run_streams(settings, transformer)
    stepper = Stepper(settings, transformer, load_scheduler(base), streams, Accelerator(cpu=True))
    clips, _ = split_clips(source, None, tuple(settings.tasks), 0)
    draws = SampleDraws(clips, settings.tasks, len(streams), settings.seed, settings.batch_size)
    given = []

    def step() -> None:
        gradients = torch.cat([weight.grad.flatten() for weight in stepper.trained.values()])
        given.append((stepper.optimizer.param_groups[0]["lr"], gradients.norm().item()))

    monkeypatch.setattr(stepper.optimizer, "step", step)
    for number in range(2):
        stepper.step(TrainingBatch.read(source, draws.of_step(number), streams))
        assert stepper.grad_norm > 0.1, "as it was before"
    assert [rate for rate, _ in given] == pytest.approx([2.5e-4, 5e-4])
    assert [norm for _, norm in given] == pytest.approx([0.01, 0.01], rel=1e-3)
