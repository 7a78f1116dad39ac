"""A folder of video files as a source of clips: which files there are, and how one becomes a clip of fixed size.

A clip is a stretch of a file at a fixed frame rate, scaled to cover the wanted size and cropped at the centre. A file
that cannot give one raises `RejectedClip`. Only the stretch that is needed is decoded, one frame at a time. Knows
nothing of captions, quality or splits.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path

import numpy as np

from udpdiff.clip import RejectedClip, Rejection
from udpdiff.decoding import timing
from udpdiff.decoding.pictures import fitted

# fmt: off
EXTENSIONS = frozenset({
    ".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts", ".flv", ".wmv",
    ".ogv", ".gif", ".vob", ".qt", ".3g2", ".f4v", ".asf", ".divx", ".m2t", ".m2v", ".m1v", ".mpe", ".mpv", ".mxf", ".dv", ".ogm",
    ".ivf",
})
# fmt: on


def list_videos(folder: str | os.PathLike[str]) -> list[Path]:
    """List the video files directly inside a folder, by their ending, sorted by name; hidden files are skipped.

    Folders are skipped too; a pipe or a dead link is listed, and rejected when it is read.
    """
    with os.scandir(folder) as entries:
        # By name: to compare paths takes seconds in a folder of 300,000 files.
        found = sorted(filter(_looks_like_video, entries), key=lambda entry: entry.name)
    return [Path(entry.path) for entry in found]


def printable(name: str) -> str:
    """A file name as a clip id: bytes that are no text and line breaks are written out, as in 'caf\\udce9.mp4'.

    A backslash becomes two, so that two names never give one id.
    """
    return "".join(c if c.isprintable() and c != "\\" else c.encode("unicode_escape").decode("ascii") for c in name)


def read_clip(
    path: str | os.PathLike[str],
    num_frames: int,
    fps: float,
    height: int,
    width: int,
    start_seconds: float | None = None,
) -> np.ndarray:
    """Read `num_frames` frames at `fps` from a video file, the middle of it unless `start_seconds` is given.

    Frame k is the one on screen k/fps seconds after the start, by the file's own timestamps; rotation and pixel shape
    are honoured.

    Returns:
        uint8 (num_frames,height,width,3) RGB.

    Raises:
        RejectedClip: The file cannot give this.
    """
    if not os.path.isfile(path):  # Opening a named pipe would wait for ever.
        raise RejectedClip(Rejection.UNREADABLE, "not a file, or a link to nothing")
    if os.path.getsize(path) == 0:
        raise RejectedClip(Rejection.EMPTY_FILE)
    span = timing.span(path)
    times = _sample_times(span.duration, num_frames, fps, start_seconds)
    return np.stack(list(_frames_at(path, span.origin, times, height, width)))


def _looks_like_video(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith(".") or os.path.splitext(entry.name)[1].lower() not in EXTENSIONS:
        return False
    try:
        return not entry.is_dir()
    except OSError:  # a link to itself
        return True


def _sample_times(duration: float, num_frames: int, fps: float, start_seconds: float | None) -> list[float]:
    span = num_frames / fps
    # The last frame is due one interval before the end of the span.
    needed = span - 1 / fps + (start_seconds or 0)
    if duration <= needed:
        raise RejectedClip(Rejection.TOO_SHORT, f"{duration:.2f} s, {needed:.2f} s needed")
    start = max(0.0, (duration - span) / 2) if start_seconds is None else start_seconds
    return [start + k / fps for k in range(num_frames)]


def _frames_at(
    path: str | os.PathLike[str], origin: Fraction, times: list[float], height: int, width: int
) -> Iterator[np.ndarray]:
    """Yield the frame on screen at each of the ascending times (seconds after the stream's start), fitted to size."""
    pending = iter(times)
    due = next(pending)
    shown: timing.TimedFrame | None = None
    with closing(timing.frames_from(path, origin, due)) as frames:
        for timed in frames:
            # The first frame of all also serves the time before it.
            while shown is not None and due + timing.TIMESTAMP_TOLERANCE_SECONDS < timed.start:
                yield fitted(shown, height, width)
                due = next(pending, None)
                if due is None:
                    return
            shown = timed
    end = shown.end if shown else 0.0
    # The last frame stays on screen for its own duration, and no longer.
    while due is not None and shown is not None and due < end + timing.TIMESTAMP_TOLERANCE_SECONDS:
        yield fitted(shown, height, width)
        due = next(pending, None)
    if due is not None:
        raise RejectedClip(Rejection.BROKEN, f"ends after {end:.2f} s although its header promises more")
