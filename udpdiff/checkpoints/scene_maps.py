"""Single frames of many scenes with metric depth, rendered once and memory-mapped, for the labellers' trainers.

It knows nothing about models. A set of scenes is named after everything that decides its content.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from udpdiff.sources import physics, ray_casting, scenes
from udpdiff.sources.scenes import SceneSettings, render_clip


@dataclass(frozen=True)
class SceneMaps:
    """Scenes of consecutive seeds, as read-only memory maps.

    video uint8 (N, T, H, W, 3); entity_ids uint8 (N, T, H, W), ground 1, backdrop 2, solids from 3; z float16
    (N, T, H, W), distance along the optical axis in world units (relative error below 0.05 %).
    """

    video: np.ndarray
    entity_ids: np.ndarray
    z: np.ndarray

    def __len__(self) -> int:
        return len(self.video)


def open_scene_maps(
    settings: SceneSettings, first_seed: int, count: int, folder: str | Path | None = None
) -> SceneMaps:
    """The scenes of seeds first_seed .. first_seed + count - 1; renders them once per machine, then only maps them.

    `folder` holds all sets (default: `udpdiff-scenes` in the temporary folder). A changed renderer or setting gives
    another set; a set appears whole or not at all.
    """
    folder = Path(folder or Path(tempfile.gettempdir()) / "udpdiff-scenes")
    home = folder / _name(settings, first_seed, count)
    if not home.exists():
        _render(settings, first_seed, count, home)
    return SceneMaps(*(np.load(home / f"{name}.npy", mmap_mode="r") for name in ("video", "entity_ids", "z")))


def _name(settings: SceneSettings, first_seed: int, count: int) -> str:
    sources = b"".join(Path(module.__file__).read_bytes() for module in (scenes, physics, ray_casting))
    what = json.dumps([asdict(settings), first_seed, count], sort_keys=True).encode()
    return f"{first_seed}-{count}-{hashlib.sha256(what + sources).hexdigest()[:16]}"


def _render(settings: SceneSettings, first_seed: int, count: int, home: Path) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=home.parent, prefix="draft-"))
    size = (count, settings.num_frames, settings.height, settings.width)
    kinds = {"video": (np.uint8, (*size, 3)), "entity_ids": (np.uint8, size), "z": (np.float16, size)}
    maps = {
        name: np.lib.format.open_memmap(draft / f"{name}.npy", "w+", dtype, shape)
        for name, (dtype, shape) in kinds.items()
    }
    for index in range(count):
        clip = render_clip(settings, first_seed + index)
        for name, array in maps.items():
            array[index] = getattr(clip, name)
    for array in maps.values():
        array.flush()
    try:
        os.rename(draft, home)
    except OSError:  # another trainer finished the same set first
        if not home.exists():
            raise
