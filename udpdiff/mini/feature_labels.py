"""What a scene shows, as yes-or-no labels: the targets on which the mini feature extractors are trained.

Knows the scene's description and how many pixels of each solid are seen; not pictures, not models.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from udpdiff.mini.scenes import Scenes
from udpdiff.sources.ray_casting import FIRST_SOLID_ID
from udpdiff.sources.scenes import BACKDROPS, CAMERAS, COLORS, GROUNDS, SHAPES

PATTERNS = ("plain", "striped", "checkered", "spotted")
ACTIONS = ("stays", "moves", "spins", "bounces")
HEADINGS = ("left", "right", "away", "closer")
MIN_VISIBLE_PIXELS = 12

_SETTING = (
    [f"ground {name}" for name in GROUNDS]
    + [f"ground pattern {name}" for name in ("plain", "checkered", "striped")]
    + [f"backdrop {name}" for name in BACKDROPS]
    + [f"solids {count}" for count in range(1, 6)]
)
_LOOKS = (
    [f"shape {shape}" for shape in SHAPES]
    + [f"color {color}" for color in COLORS]
    + [f"pattern {pattern}" for pattern in PATTERNS]
    + ["shiny"]
    + [f"{color} {shape}" for color, shape in itertools.product(COLORS, SHAPES)]
)
_MOTIONS = (
    [f"camera {name}" for name in CAMERAS]
    + [f"action {name}" for name in ACTIONS]
    + [f"heading {name}" for name in HEADINGS]
    + [f"{shape} {action}" for shape, action in itertools.product(SHAPES, ACTIONS)]
)
_SIMPLE_LOOKS = [name for name in _LOOKS if name.split()[0] in ("shape", "color", "pattern", "shiny")]

FRAME_LABELS = tuple(_SETTING + _LOOKS)
CLIP_LABELS = tuple(_SETTING + _SIMPLE_LOOKS + _MOTIONS)


@dataclass(frozen=True)
class LabelledScenes:
    """Scenes with labels of 0 and 1: of frames float32 (N, T, len(FRAME_LABELS)), of clips (N, len(CLIP_LABELS))."""

    scenes: Scenes
    frame_labels: np.ndarray
    clip_labels: np.ndarray


def label_scenes(scenes: Scenes) -> LabelledScenes:
    """The scenes with what their frames and clips show."""
    pairs = [
        (scene, visible_pixels(ids, len(scene["solids"])))
        for scene, ids in zip(scenes.descriptions, scenes.entity_ids, strict=True)
    ]
    return LabelledScenes(
        scenes,
        np.stack([frame_labels(*pair) for pair in pairs]),
        np.stack([clip_labels(*pair) for pair in pairs]),
    )


def visible_pixels(entity_ids: np.ndarray, num_solids: int) -> np.ndarray:
    """Pixels of each solid in each frame: int64 (T, num_solids), from entity_ids uint16 (T, H, W)."""
    last = FIRST_SOLID_ID + num_solids
    counts = [np.bincount(ids.ravel(), minlength=last)[FIRST_SOLID_ID:last] for ids in entity_ids]
    return np.stack(counts)


def frame_labels(scene: dict, visible: np.ndarray) -> np.ndarray:
    """Labels of each frame, float32 (T, len(FRAME_LABELS)) of 0 and 1; a solid counts from 12 pixels on."""
    rows = []
    for pixels in visible:
        seen = [solid for solid, count in zip(scene["solids"], pixels, strict=True) if count >= MIN_VISIBLE_PIXELS]
        rows.append(_one_hot(FRAME_LABELS, _setting(scene, seen) | _looks(seen)))
    return np.stack(rows)


def clip_labels(scene: dict, visible: np.ndarray) -> np.ndarray:
    """Labels of the whole clip, float32 (len(CLIP_LABELS),) of 0 and 1, motions included."""
    most = visible.max(0)
    seen = [solid for solid, count in zip(scene["solids"], most, strict=True) if count >= MIN_VISIBLE_PIXELS]
    return _one_hot(CLIP_LABELS, _setting(scene, seen) | _looks(seen) | _motions(scene, seen))


def _one_hot(labels, present: set[str]) -> np.ndarray:
    return np.array([label in present for label in labels], np.float32)


def _setting(scene: dict, seen: list[dict]) -> set[str]:
    ground = scene["ground"]
    return {
        f"ground {ground['color']}",
        f"ground pattern {ground['pattern']}",
        f"backdrop {scene['backdrop']}",
        f"solids {min(len(seen), 5)}",
    }


def _looks(seen: list[dict]) -> set[str]:
    present = {f"{key} {solid[key]}" for solid in seen for key in ("shape", "color", "pattern")}
    present |= {f"{solid['color']} {solid['shape']}" for solid in seen}
    return present | ({"shiny"} if any(solid["shiny"] for solid in seen) else set())


def _motions(scene: dict, seen: list[dict]) -> set[str]:
    present = {f"camera {scene['camera']}"}
    for solid in seen:
        present |= {f"action {solid['action']}", f"{solid['shape']} {solid['action']}"}
        if solid["heading"]:
            present.add(f"heading {solid['heading']}")
    return present
