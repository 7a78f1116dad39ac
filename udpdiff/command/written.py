"""Writes arrays over time in the formats that a user asks for: mp4 to look at, npy and png to compute with."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from udpdiff.storage.errors import writing
from udpdiff.storage.files import replace_folder, written_file

FORMATS = ("mp4", "npy", "png")


def formats(text: str) -> tuple[str, ...]:
    """Parse `mp4,npy`; for argparse."""
    names = tuple(dict.fromkeys(text.split(",")))
    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise argparse.ArgumentTypeError(f"got {unknown[0]!r}; allowed: {','.join(FORMATS)}, one or several")
    return names


def write_array(folder: Path, name: str, values: np.ndarray, chosen: Sequence[str]) -> list[Path]:
    """Write values as `NAME.npy`, exactly, and as the folder `NAME`, a png for each frame; returns what was written.

    Args:
        folder: To write into.
        name: Of the files.
        values: (T, H, W) uint16 ids or float32 in [0, 1], which a png holds times 65535; (T, H, W, 3) uint8 colours, or
            float32 in [-1, 1], of which there is no png.
        chosen: Of FORMATS; mp4 is passed over.

    Raises:
        StorageError: They cannot be written.
    """
    made = []
    if "npy" in chosen:
        made.append(folder / f"{name}.npy")
        with written_file(made[-1]) as staging, open(staging, "wb") as file:
            np.save(file, values, allow_pickle=False)
    if "png" in chosen and (values.ndim == 3 or values.dtype == np.uint8):
        made.append(folder / name)
        _write_pngs(made[-1], values)
    return made


def write_film(folder: Path, name: str, video: np.ndarray, fps: float) -> Path:
    """Write uint8 (T, H, W, 3) as `NAME.mp4`; an odd side loses a pixel, which H.264 cannot hold.

    Raises:
        StorageError: It cannot be written.
    """
    from udpdiff.video_io import write_mp4

    height, width = (side // 2 * 2 for side in video.shape[1:3])
    path = folder / f"{name}.mp4"
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_mp4(path, video[:, :height, :width], fps)
    return path


def _write_pngs(folder: Path, values: np.ndarray) -> None:
    from PIL import Image

    stored = np.rint(values * 65535).astype(np.uint16) if values.dtype == np.float32 else values
    with replace_folder(folder) as fresh:
        for number, frame in enumerate(stored):
            Image.fromarray(frame).save(fresh / f"{number:04d}.png")
