"""Rendered scenes kept on disk for the trainers of the mini checkpoints: rendering costs more than a training step.

Knows nothing about models. Blocks are written whole and renamed, so several trainers may share one folder and a
stopped render goes on where it was.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from udpdiff.sources.scenes import SceneSettings, render_clip

DEFAULT_SCENES = SceneSettings(64, 64, 9, 8.0, min_solids=2, max_solids=3, solid_size=1.4)  # as config.yaml's
HELD_OUT_SEED = 10_000_000  # seeds from here on are never trained on
BLOCK_SCENES = 250


@dataclass(frozen=True)
class CachedScenes:
    """Scenes stacked along the first axis N.

    video uint8 (N, T, H, W, 3); entity_ids uint8 (N, T, H, W), 0 = none; depth uint8 (N, T, H, W), disparity-like,
    255 = nearest, normalised per clip; brief, detailed: N captions.
    """

    video: np.ndarray
    entity_ids: np.ndarray
    depth: np.ndarray
    brief: list[str]
    detailed: list[str]

    def __len__(self) -> int:
        return len(self.video)

    def head(self, count: int) -> CachedScenes:
        """The first `count` scenes."""
        return CachedScenes(*(getattr(self, field.name)[:count] for field in fields(self)))


def cached_scenes(settings, count: int, first_seed: int, folder: str | Path | None = None) -> CachedScenes:
    """Render the scenes first_seed .. first_seed + count - 1, or read them back.

    The folder's name carries a digest of the settings and of one rendered scene, so that a changed renderer is noticed.
    """
    folder = Path(folder or tempfile.gettempdir()) / f"udpdiff-scenes-{_digest(settings)}"
    folder.mkdir(parents=True, exist_ok=True)
    blocks = []
    for start in range(first_seed, first_seed + count, BLOCK_SCENES):
        path = folder / f"{start:08d}-{BLOCK_SCENES}.npz"
        if not path.exists():
            _write_block(path, settings, start)
        with np.load(path) as stored:
            blocks.append({name: stored[name] for name in stored.files})
    arrays = {name: np.concatenate([block[name] for block in blocks])[:count] for name in blocks[0]}
    return CachedScenes(
        video=arrays["video"],
        entity_ids=arrays["entity_ids"],
        depth=arrays["depth"],
        brief=arrays["brief"].tolist(),
        detailed=arrays["detailed"].tolist(),
    )


def disparity(z: np.ndarray) -> np.ndarray:
    """Depth in the project's sense from metric z (T, H, W): 1 / z, normalised over the clip to [0, 1], 1 = nearest."""
    inverse = 1.0 / np.maximum(z, 1e-3)
    low, high = inverse.min(), inverse.max()
    return ((inverse - low) / max(high - low, 1e-6)).astype(np.float32)


def _write_block(path: Path, settings, first_seed: int) -> None:
    clips = [render_clip(settings, first_seed + index) for index in range(BLOCK_SCENES)]
    partial = path.with_name(f"{path.stem}.{os.getpid()}.partial.npz")
    np.savez(
        partial,
        video=np.stack([clip.video for clip in clips]),
        entity_ids=np.stack([clip.entity_ids for clip in clips]).astype(np.uint8),
        depth=np.stack([np.round(disparity(clip.z) * 255) for clip in clips]).astype(np.uint8),
        brief=np.array([clip.brief for clip in clips]),
        detailed=np.array([clip.detailed for clip in clips]),
    )
    os.replace(partial, path)


def _digest(settings) -> str:
    clip = render_clip(settings, 0)
    seen = hashlib.sha256(repr(settings).encode())
    seen.update(clip.video.tobytes())
    seen.update(f"{clip.brief}{clip.detailed}".encode())
    return seen.hexdigest()[:12]
