"""Pictures and small films for the report: panels that play in step, first frames, strips.

Arrays in, files out; knows nothing about results folders or HTML.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from udpdiff.storage.errors import writing
from udpdiff.storage.files import written_file
from udpdiff.video_io import write_mp4

_GAP_PIXELS = 6
_MIN_PANEL_PIXELS = 160
_CELL_PIXELS = 192  # width of a panel in a still picture, about


def overlay(video: np.ndarray, colors: np.ndarray, strength: float = 0.55) -> np.ndarray:
    """Return colours laid over the video, both uint8 (T, H, W, 3)."""
    return (video * (1 - strength) + colors * strength).astype(np.uint8)


def side_by_side(videos: list[np.ndarray]) -> np.ndarray:
    """Return one film of several of equal size, left to right, enlarged without blur to be looked at."""
    scale = max(1, -(-_MIN_PANEL_PIXELS // videos[0].shape[1]))
    large = [video.repeat(scale, axis=1).repeat(scale, axis=2) for video in videos]
    gap = np.full((*large[0].shape[:2], _GAP_PIXELS, 3), 255, np.uint8)
    parts = [large[0]]
    for video in large[1:]:
        parts += [gap, video]
    film = np.concatenate(parts, axis=2)
    return film[:, : film.shape[1] // 2 * 2, : film.shape[2] // 2 * 2]


def strip(videos: list[np.ndarray], frames: int = 6) -> np.ndarray:
    """Return evenly spaced frames from left to right, one row per video: the layout of the paper's figures 3 to 5."""
    picked = np.linspace(0, len(videos[0]) - 1, frames).round().astype(int)
    return np.concatenate([np.concatenate(list(video[picked]), axis=1) for video in videos], axis=0)


def table(rows: list[list[np.ndarray]], gap: int = 4) -> np.ndarray:
    """Return pictures of equal size, uint8 (H, W, 3), in rows with white gaps, each brought to about 192 pixels in width."""
    edge = ((0, gap), (0, gap), (0, 0))
    lines = [[np.pad(_fitted(picture), edge, constant_values=255) for picture in row] for row in rows]
    return np.concatenate([np.concatenate(line, axis=1) for line in lines], axis=0)[:-gap, :-gap]


def _fitted(picture: np.ndarray) -> np.ndarray:
    """Enlarged without blur, or averaged down."""
    height, width = picture.shape[:2]
    if width <= _CELL_PIXELS:
        scale = _CELL_PIXELS // width
        return picture.repeat(scale, axis=0).repeat(scale, axis=1)
    from PIL import Image

    size = (_CELL_PIXELS, max(1, round(height * _CELL_PIXELS / width)))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def write_film(folder: Path, name: str, videos: list[np.ndarray], fps: float) -> dict[str, str | int]:
    """Write `name`.mp4 and its first frame `name`.png; return their names for the page, relative to it, and their size."""
    film = side_by_side(videos)
    folder.mkdir(parents=True, exist_ok=True)
    # Two rounds at the clip's own speed: a clip at the mini scale lasts a second.
    with writing(folder / f"{name}.mp4"):
        write_mp4(folder / f"{name}.mp4", np.concatenate([film, film]), fps)
    write_png(folder / f"{name}.png", film[0])
    return {"film": f"{folder.name}/{name}.mp4", "poster": f"{folder.name}/{name}.png"} | _size(film[0])


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write uint8 (H, W, 3) to a png file."""
    from PIL import Image

    _write(path, Image.fromarray(picture), format="png")


def write_jpeg(path: Path, picture: np.ndarray) -> dict[str, int]:
    """Write uint8 (H, W, 3) to a jpeg file, colours at full resolution: labels are edges of colour; return its size."""
    from PIL import Image

    _write(path, Image.fromarray(picture), format="jpeg", quality=88, subsampling=0)
    return _size(picture)


def _size(picture: np.ndarray) -> dict[str, int]:
    """What a page needs to keep the room of a picture that is not loaded yet."""
    return {"width": picture.shape[1], "height": picture.shape[0]}


def _write(path: Path, image, **options) -> None:
    # Pillow's JPEG writer says nothing of a disk that is full, so it writes to memory.
    encoded = io.BytesIO()
    image.save(encoded, **options)
    with written_file(path) as staging:
        staging.write_bytes(encoded.getvalue())
