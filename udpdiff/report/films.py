"""Films of generated samples, each with all streams of a prompt, and what stands under the pointer.

One film holds a sample's streams side by side: one decoder plays them, so they cannot come apart. A page draws each
stream from its part of the film; that a page opened from disk may not read back what it drew does not matter, for the
numbers under the pointer come from files of their own (`write_values`).
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from udpdiff.report.inputs import Inputs
from udpdiff.storage.errors import writing
from udpdiff.storage.files import write_text
from udpdiff.storage.shards import ShardReader
from udpdiff.tasks import get_task
from udpdiff.video_io import decode_mp4, write_mp4
from udpdiff.workflow.workflow import VIDEO

STREAMS = ("video", "dense", "decoded")  # from left to right; of a run without a dense task the first alone
_SMALL_PIXELS = 256  # videos that are not wider are doubled: a film keeps one colour for four pixels
_GRID_PIXELS = 64  # most columns of the values under the pointer
# Nothing but this may run in a file of values.
_SEND = 'parent.postMessage(JSON.parse(document.getElementById("values").textContent), "*")'


@dataclass(frozen=True)
class FilmShape:
    """Of all films of one run and task: size of a stream in pixels, frames, frames per second; what their values are.

    values: `ids` of entities (0: none), a `share` in [0, 1], or None where there are none.
    """

    width: int
    height: int
    frames: int
    fps: float
    values: Literal["ids", "share"] | None


def film_path(run: str, task: str, index: int, kind: str = "mp4") -> str:
    """Return where the film of a prompt lies below the folder of media; kind `html`: its values."""
    return f"{run}/{task}/{index:04d}.{kind}"


def write_films(
    inputs: Inputs, run: str, task: str, wanted: Collection[str], indices: dict[str, int], media: Path
) -> FilmShape | None:
    """Write the films of some samples, and the values of their dense predictions.

    Args:
        inputs: The report's files.
        run: Of the samples.
        task: The same.
        wanted: Clip ids.
        indices: Clip id -> number of its prompt.
        media: The folder that `film_path` is relative to.

    Returns:
        What the films are like; None where nothing is wanted.
    """
    shape = None
    for clip_path, dense_path in inputs.samples(run, task):
        with ExitStack() as stack:
            clips = stack.enter_context(ShardReader(clip_path))
            dense = None if task == VIDEO else stack.enter_context(ShardReader(dense_path))
            for clip_id in [clip_id for clip_id in clips.clip_ids if clip_id in wanted]:
                streams, values = [decode_mp4(clips.read(clip_id, "video_mp4"))], None
                if dense is not None:
                    prediction = get_task(task).from_storage(dense.read(clip_id, "prediction"))
                    streams += [decode_mp4(dense.read(clip_id, "dense_mp4")), get_task(task).picture(prediction)]
                    values = write_values(media / film_path(run, task, indices[clip_id], "html"), prediction)
                film = _write_film(media / film_path(run, task, indices[clip_id]), streams, clips.attrs["fps"])
                shape = FilmShape(*film, clips.attrs["fps"], values)
    return shape


def _write_film(path: Path, streams: Sequence[np.ndarray], fps: float) -> tuple[int, int, int]:
    """Return width and height of a stream, and frames."""
    scale = 2 if streams[0].shape[2] <= _SMALL_PIXELS else 1
    film = np.concatenate(streams, axis=2).repeat(scale, axis=1).repeat(scale, axis=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path):
        write_mp4(path, film, fps)
    height, width = (scale * size for size in streams[0].shape[1:3])
    return width, height, len(film)


def write_values(path: Path, prediction: np.ndarray) -> Literal["ids", "share"] | None:
    """Write a prediction on a coarse grid for the read-out under the pointer, and return what its values are.

    A page opened from disk can fetch no file and run no script of another one, but it may show another page in a frame
    and listen to it. So the file is a page that sends its values, and whose policy lets nothing else happen.

    Args:
        path: Of the page.
        prediction: (T, H, W), ids as integers or shares as floats in [0, 1]; of vectors nothing is written.
    """
    if prediction.ndim != 3:
        return None
    step = -(-prediction.shape[2] // _GRID_PIXELS)
    grid = prediction[:, step // 2 :: step, step // 2 :: step]
    kind = "ids" if np.issubdtype(grid.dtype, np.integer) else "share"
    if kind == "ids":
        ids, levels = np.unique(grid, return_inverse=True)
        packed = levels.reshape(grid.shape).clip(max=255).astype(np.uint8)
    else:
        ids, packed = np.array([], int), np.rint(np.clip(grid, 0, 1) * 255).astype(np.uint8)
    content = {
        "frames": grid.shape[0],
        "rows": grid.shape[1],
        "columns": grid.shape[2],
        "ids": ids.tolist(),
        "deflated": base64.b64encode(zlib.compress(packed.tobytes(), 9)).decode(),
    }
    digest = base64.b64encode(hashlib.sha256(_SEND.encode()).digest()).decode()
    write_text(
        path,
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Values</title>'
        f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'sha256-{digest}'\">"
        f'<script type="application/json" id="values">{json.dumps(content)}</script><script>{_SEND}</script></html>\n',
    )
    return kind
