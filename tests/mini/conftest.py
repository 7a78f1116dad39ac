"""Trainings of two steps on a few scenes, which are rendered once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from udpdiff import checkpoints
from udpdiff.mini import captioner, features, vae
from udpdiff.mini.stages import STAGES
from udpdiff.mini.trainers import TRAINERS, train_stage
from udpdiff.mini.training import Options

# What ships of the stages that others start from, or something of the same form.
SHIPPED = {
    "vae_wide_unrefined": "cogvideox/vae",
    "vae_wide": "cogvideox/vae",
    "vae_unrefined": "cogvideox/vae",
    "vae": "cogvideox/vae",
    "cogvideox_first": "cogvideox",
    "cogvideox_wide": "cogvideox",
    "segmenter": "cropformer",
    "sam2_tracking": "sam2",
    "depth_anything_first": "depth_anything",
    "depthcrafter_vae_unrefined": "depthcrafter/vae",
    "depthcrafter_vae": "depthcrafter/vae",
    "depthcrafter_first": "depthcrafter",
    "subject_encoder": "subject_encoder",
    "image_encoder": "image_encoder",
    "captioner_tower": "captioner",
}


def shipped(stage: str) -> Path:
    """The folder of the package that stands in for a trained stage."""
    return Path(checkpoints.__file__).parent / SHIPPED[stage]


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("scenes")


@pytest.fixture
def train_briefly(monkeypatch, cache, tmp_path) -> Callable[..., Path]:
    """`train_briefly(stage, steps=2, seed=0, out=..., **folders to start from)` -> the folder it leaves."""
    for trainer in TRAINERS.values():
        monkeypatch.setattr(trainer, "train_scenes", 4)
        monkeypatch.setattr(trainer, "held_out_scenes", 2)
    monkeypatch.setattr(captioner, "FRAMES_PER_STEP", 2)
    monkeypatch.setattr(captioner, "CLIPS_PER_STEP", 2)
    monkeypatch.setattr(features, "BATCH_SIZE", dict.fromkeys(features.BATCH_SIZE, 2))

    monkeypatch.setattr(vae, "SCALING_BATCHES", 1)

    def run(
        stage: str, steps: int = 2, seed: int = 0, out: Path | None = None, batch: int | None = None, **folders
    ) -> Path:
        starts = {option: shipped(name) for option, name in STAGES[stage].inputs.items()} | folders
        out = out or tmp_path / stage
        train_stage(Options(stage, out, steps, seed=seed, cache=cache, batch=batch, **starts))
        return out

    return run
