"""A training of a mini checkpoint that was killed."""

from __future__ import annotations

import pytest
from safetensors.torch import load_file

from udpdiff.mini import training
from udpdiff.mini.trainers import TRAINERS


@pytest.mark.parametrize(
    ("stage", "trainer", "file"),
    [
        ("vae_wide_unrefined", "vae", "diffusion_pytorch_model.safetensors"),  # draws by numpy
        ("cogvideox_first", "base", "transformer/diffusion_pytorch_model.safetensors"),  # by torch
    ],
)
def test_a_killed_training_ends_as_one_that_was_not(train_briefly, monkeypatch, tmp_path, stage, trainer, file):
    whole = train_briefly(stage, steps=2, out=tmp_path / "whole")
    monkeypatch.setattr(training, "SAVE_EVERY_SECONDS", 0)
    loss, calls = TRAINERS[trainer].loss, []

    def killed_at_the_second(self, budget):
        calls.append(budget.step)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return loss(self, budget)

    monkeypatch.setattr(TRAINERS[trainer], "loss", killed_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        train_briefly(stage, steps=2, out=tmp_path / "killed")
    state = tmp_path / ".killed.state"
    assert state.exists()
    resumed = train_briefly(stage, steps=2, out=tmp_path / "killed")
    assert calls == [0, 1, 1] and not state.exists()
    ours, theirs = (load_file(folder / file) for folder in (resumed, whole))
    assert all((ours[name] == theirs[name]).all() for name in theirs)


def test_the_state_of_another_training_is_left_alone(train_briefly, monkeypatch, tmp_path):
    monkeypatch.setattr(training, "SAVE_EVERY_SECONDS", 0)
    monkeypatch.setattr(training.SavedState, "remove", lambda self: None)
    out = train_briefly("depth_anything_first", steps=2)
    counted = []
    loss = TRAINERS["depth_anything"].loss
    monkeypatch.setattr(
        TRAINERS["depth_anything"], "loss", lambda self, budget: counted.append(budget.step) or loss(self, budget)
    )
    train_briefly("depth_anything_first", steps=2, seed=1, out=out)
    assert counted == [0, 1], "another seed starts from the first step"
