"""Rendered scenes kept on disk for the trainers of the mini checkpoints: rendering costs more than a training step.

Knows nothing about models. Blocks are written whole and renamed, so several trainers may share one folder and a
stopped render goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np

from udpdiff.sources.scenes import SceneClip, SceneSettings, render_clip

VARIED_SCENES = SceneSettings(64, 64, 9, 8.0)  # of two to five solids
DEFAULT_SCENES = SceneSettings(64, 64, 9, 8.0, min_solids=2, max_solids=3, solid_size=1.4)  # as config.yaml's
HELD_OUT_SEED = 10_000_000  # seeds from here on are never trained on
BLOCK_SCENES = 250


@dataclass(frozen=True)
class Scenes:
    """Scenes stacked along the first axis N.

    video uint8 (N, T, H, W, 3); entity_ids uint8 (N, T, H, W), ground 1, backdrop 2, solids from 3; z float16
    (N, T, H, W), distance along the optical axis in world units (relative error below 0.05 %); brief, detailed: N
    captions; descriptions: what was drawn, as plain data.
    """

    video: np.ndarray
    entity_ids: np.ndarray
    z: np.ndarray
    brief: list[str]
    detailed: list[str]
    descriptions: list[dict]

    def __len__(self) -> int:
        return len(self.video)

    @classmethod
    def stack(cls, clips: list[SceneClip]) -> Scenes:
        """Rendered clips as scenes."""
        return cls(
            video=np.stack([clip.video for clip in clips]),
            entity_ids=np.stack([clip.entity_ids for clip in clips]).astype(np.uint8),
            z=np.stack([clip.z for clip in clips]).astype(np.float16),
            brief=[clip.brief for clip in clips],
            detailed=[clip.detailed for clip in clips],
            descriptions=[clip.scene for clip in clips],
        )

    @cached_property
    def depth(self) -> np.ndarray:
        """Depth in the project's sense: uint8 (N, T, H, W), 255 = nearest, normalised per clip."""
        return np.stack([np.round(disparity(z) * 255).astype(np.uint8) for z in self.z])

    def head(self, count: int) -> Scenes:
        """The first `count` scenes."""
        return Scenes(*(getattr(self, field.name)[:count] for field in fields(self)))


def load_scenes(settings: SceneSettings, first_seed: int, count: int, folder: str | Path | None = None) -> Scenes:
    """Render the scenes first_seed .. first_seed + count - 1, or read them back."""
    blocks = list(scene_blocks(settings, first_seed, count, folder))
    columns = {field.name: [getattr(block, field.name) for block in blocks] for field in fields(Scenes)}
    return Scenes(**{name: _join(parts) for name, parts in columns.items()})


def scene_blocks(
    settings: SceneSettings, first_seed: int, count: int, folder: str | Path | None = None
) -> Iterator[Scenes]:
    """The same a block at a time, each rendered when it is asked for: a training may start with the first.

    The folder's name carries a digest of the settings and of one rendered scene, so that a changed renderer is noticed.
    """
    folder = Path(folder or tempfile.gettempdir()) / f"udpdiff-scenes-{_digest(settings)}"
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(first_seed, first_seed + count, BLOCK_SCENES):
        size = min(BLOCK_SCENES, first_seed + count - start)
        path = folder / f"{start:08d}-{size}.npz"
        if not path.exists():
            _write_block(path, Scenes.stack([render_clip(settings, start + index) for index in range(size)]))
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in ("video", "entity_ids", "z")}
            yield Scenes(**arrays, **json.loads(str(stored["texts"])))


def disparity(z: np.ndarray) -> np.ndarray:
    """Depth in the project's sense from metric z (T, H, W): 1 / z, normalised over the clip to [0, 1], 1 = nearest."""
    inverse = 1.0 / np.maximum(z.astype(np.float32), 1e-3)
    low, high = inverse.min(), inverse.max()
    return (inverse - low) / max(high - low, 1e-6)


def _join(parts: list) -> np.ndarray | list:
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else [item for part in parts for item in part]


def _write_block(path: Path, scenes: Scenes) -> None:
    partial = path.with_name(f"{path.stem}.{os.getpid()}.partial.npz")
    texts = {name: getattr(scenes, name) for name in ("brief", "detailed", "descriptions")}
    np.savez(partial, video=scenes.video, entity_ids=scenes.entity_ids, z=scenes.z, texts=json.dumps(texts))
    os.replace(partial, path)


def _digest(settings: SceneSettings) -> str:
    clip = render_clip(settings, 0)
    seen = hashlib.sha256(repr(settings).encode())
    for array in (clip.video, clip.z):
        seen.update(array.tobytes())
    seen.update(f"{clip.brief}{clip.detailed}{clip.scene}".encode())
    return seen.hexdigest()[:12]
