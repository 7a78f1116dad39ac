"""Scenes held in memory for training the feature extractors: frames, labels and captions, cached in parts on disk."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from udpdiff.checkpoints.feature_labels import (
    ACTIONS,
    HEADINGS,
    PATTERNS,
    clip_labels,
    frame_labels,
    visible_pixels,
)
from udpdiff.sources.scenes import CAMERAS, COLORS, GROUNDS, SHAPES, SceneSettings, render_clip

SETTINGS = SceneSettings(height=64, width=64, num_frames=9, fps=8.0)
FIRST_TRAINING_SEED = 3_000_000
FIRST_HELD_OUT_SEED = 10_000_000
_PART_SCENES = 400
_OTHER_WORDS = (
    "a an and on floor the is backdrop sky sunset night wall camera moves rolls slides small large shiny more solid solids"
    " follow follows one two three four five six . ,"
)


@dataclass(frozen=True)
class FeatureScenes:
    """video uint8 (N, T, H, W, 3); frame_labels float32 (N, T, L); clip_labels float32 (N, M); N captions."""

    video: np.ndarray
    frame_labels: np.ndarray
    clip_labels: np.ndarray
    brief: list[str]
    detailed: list[str]


def load_scenes(count: int, first_seed: int, cache: Path | None = None) -> FeatureScenes:
    """The scenes of seeds first_seed, first_seed + 1, ...; with a cache folder, parts already rendered are read."""
    parts = []
    for start in range(0, count, _PART_SCENES):
        size = min(_PART_SCENES, count - start)
        parts.append(_part(first_seed + start, size, cache))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    scenes = [json.loads(text) for text in joined["scene"]]
    visible = [pixels[:, : len(scene["solids"])] for scene, pixels in zip(scenes, joined["visible"], strict=True)]
    pairs = list(zip(scenes, visible, strict=True))
    return FeatureScenes(
        video=joined["video"],
        frame_labels=np.stack([frame_labels(scene, pixels) for scene, pixels in pairs]),
        clip_labels=np.stack([clip_labels(scene, pixels) for scene, pixels in pairs]),
        brief=[str(text) for text in joined["brief"]],
        detailed=[str(text) for text in joined["detailed"]],
    )


def _part(first_seed: int, count: int, cache: Path | None) -> dict[str, np.ndarray]:
    path = cache / f"scenes_{first_seed}_{count}.npz" if cache else None
    if path is not None and path.exists():
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)
    part = _render(first_seed, count)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"{path.stem}.{os.getpid()}.unfinished.npz")
        np.savez(unfinished, **part)
        os.replace(unfinished, path)
    return part


def _render(first_seed: int, count: int) -> dict[str, np.ndarray]:
    clips = [render_clip(SETTINGS, seed) for seed in range(first_seed, first_seed + count)]
    return {
        "video": np.stack([clip.video for clip in clips]),
        "visible": np.stack([visible_pixels(clip.entity_ids, SETTINGS.max_solids) for clip in clips]),
        "brief": np.array([clip.brief for clip in clips]),
        "detailed": np.array([clip.detailed for clip in clips]),
        "scene": np.array([json.dumps(clip.scene) for clip in clips]),
    }


def caption_words() -> list[str]:
    """Every word and sign that a scene's captions can hold, sorted."""
    words = {*COLORS, *SHAPES, *GROUNDS, *PATTERNS, *ACTIONS, *HEADINGS, *CAMERAS}
    return sorted(words | set(_OTHER_WORDS.split()))
