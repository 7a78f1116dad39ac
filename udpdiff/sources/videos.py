"""A folder of video files as a source of clips: which files there are, and how one becomes a clip of fixed size.

A clip is a stretch of a file at a fixed frame rate, scaled to cover the wanted size and cropped at the centre. A file
that cannot give one raises `RejectedClip`. Only the stretch that is needed is decoded, one frame at a time. Knows
nothing of captions, quality or splits.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from udpdiff.clip import RejectedClip, Rejection
from udpdiff.video_io import open_video, quarter_turns, to_rgb

if TYPE_CHECKING:
    import av

# fmt: off
EXTENSIONS = frozenset({
    ".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts", ".flv", ".wmv",
    ".ogv", ".gif", ".vob", ".qt", ".3g2", ".f4v", ".asf", ".divx", ".m2t", ".m2v", ".m1v", ".mpe", ".mpv", ".mxf", ".dv", ".ogm",
    ".ivf",
})
# fmt: on

# Containers round timestamps, Matroska to a millisecond; a frame that is due within this is taken as shown.
_TIMESTAMP_TOLERANCE_SECONDS = 0.002


def list_videos(folder: str | os.PathLike[str]) -> list[Path]:
    """List the video files directly inside a folder, by their ending, sorted by name; hidden files are skipped.

    Folders are skipped too; a pipe or a dead link is listed, and rejected when it is read.
    """
    with os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in entries if _looks_like_video(entry))


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
    import av

    if not os.path.isfile(path):  # Opening a named pipe would wait for ever.
        raise RejectedClip(Rejection.UNREADABLE, "not a file, or a link to nothing")
    if os.path.getsize(path) == 0:
        raise RejectedClip(Rejection.EMPTY_FILE)
    try:
        with open_video(path) as container:
            stream = _video_stream(container)
            duration = _duration_seconds(container, stream)
            times = _sample_times(duration, num_frames, fps, start_seconds)
            return np.stack(list(_frames_at(container, stream, times, height, width)))
    except (av.FFmpegError, OSError) as error:
        raise RejectedClip(Rejection.UNREADABLE, getattr(error, "strerror", None) or str(error)) from error


def _looks_like_video(entry: os.DirEntry[str]) -> bool:
    visible = not entry.name.startswith(".")
    # Unlike `entry.is_dir()`, this raises nothing for a link to itself.
    return visible and Path(entry.name).suffix.lower() in EXTENSIONS and not os.path.isdir(entry.path)


def _video_stream(container: av.container.InputContainer) -> av.VideoStream:
    from av.stream import Disposition

    # The cover picture of a song is a video stream to FFmpeg, of one frame.
    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        other = "sound only" if container.streams.audio else "nothing to look at"
        raise RejectedClip(Rejection.NO_VIDEO, other)
    stream = streams[0]
    if stream.codec_context is None:
        raise RejectedClip(Rejection.UNREADABLE, "its codec is unknown")
    stream.codec_context.thread_count = 1
    return stream


def _duration_seconds(container: av.container.InputContainer, stream: av.VideoStream) -> float:
    """How long the stream lasts: from its header, or, where no header says so, from its packets (not decoded)."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    # Matroska's tag per stream; its container's duration covers sound as well.
    tag = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if tag:
        return 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3])
    ends = [p.pts + (p.duration or 0) for p in container.demux(stream) if p.pts is not None]
    container.seek(0)
    return float((max(ends, default=0) - (stream.start_time or 0)) * stream.time_base)


def _sample_times(duration: float, num_frames: int, fps: float, start_seconds: float | None) -> list[float]:
    span = num_frames / fps
    # The last frame is due one interval before the end of the span.
    needed = span - 1 / fps + (start_seconds or 0)
    if duration <= needed:
        raise RejectedClip(Rejection.TOO_SHORT, f"{duration:.2f} s, {needed:.2f} s needed")
    start = max(0.0, (duration - span) / 2) if start_seconds is None else start_seconds
    return [start + k / fps for k in range(num_frames)]


def _frames_at(
    container: av.container.InputContainer, stream: av.VideoStream, times: list[float], height: int, width: int
) -> Iterator[np.ndarray]:
    """Yield the frame on screen at each of the ascending times (seconds after the stream's start), fitted to size."""
    pending = iter(times)
    due = next(pending)
    shown, shown_until = None, 0.0
    with closing(_decode_from(container, stream, due)) as frames:
        for seconds, frame in frames:
            # The first frame of all also serves the time before it.
            while shown is not None and due + _TIMESTAMP_TOLERANCE_SECONDS < seconds:
                yield _fit(shown, _pixel_shape(stream), height, width)
                due = next(pending, None)
                if due is None:
                    return
            shown, shown_until = frame, seconds + _frame_seconds(frame, stream)
    # The last frame stays on screen for its own duration, and no longer.
    while due is not None and shown is not None and due < shown_until + _TIMESTAMP_TOLERANCE_SECONDS:
        yield _fit(shown, _pixel_shape(stream), height, width)
        due = next(pending, None)
    if due is not None:
        raise RejectedClip(Rejection.BROKEN, f"ends after {shown_until:.2f} s although its header promises more")


def _decode_from(
    container: av.container.InputContainer, stream: av.VideoStream, start: float
) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yield (seconds, frame) in order of time, beginning at or before `start`."""
    import av

    origin = stream.start_time or 0
    # MPEG-TS has no index: its seeks land too far, or past the end. Then earlier starts are tried, last the beginning.
    for position in (start, start - 10.0, 0.0):
        if position < 0:
            continue
        offset = origin + int(position / stream.time_base) if position else min(origin, 0)
        try:
            container.seek(offset, stream=stream, backward=True)
        except av.FFmpegError as error:
            if position > 0:
                continue
            raise RejectedClip(Rejection.BROKEN, "cannot go to its beginning") from error
        begun = False
        for frame in container.decode(stream):
            if frame.pts is None:
                continue
            if frame.is_corrupt:
                raise RejectedClip(Rejection.BROKEN, "damaged frames")
            seconds = float((frame.pts - origin) * stream.time_base)
            if not begun and position > 0 and seconds > start + _TIMESTAMP_TOLERANCE_SECONDS:
                break
            begun = True
            yield seconds, frame
        if begun:
            return


def _frame_seconds(frame: av.VideoFrame, stream: av.VideoStream) -> float:
    if frame.duration:
        return float(frame.duration * stream.time_base)
    return float(1 / stream.average_rate) if stream.average_rate else 0.0


def _pixel_shape(stream: av.VideoStream) -> float:
    """Width of a pixel over its height; 1 where the file says nothing or nonsense."""
    ratio = stream.sample_aspect_ratio
    return float(ratio) if ratio and 0.1 < ratio < 10 else 1.0


def _fit(frame: av.VideoFrame, pixel_shape: float, height: int, width: int) -> np.ndarray:
    """Turn, scale to cover (height, width) without changing shapes, and crop at the centre."""
    turns = quarter_turns(frame)
    if turns % 2:
        height, width = width, height
    scale = max(width / (frame.width * pixel_shape), height / frame.height)
    scaled_width = max(width, math.floor(frame.width * pixel_shape * scale + 0.5))
    scaled_height = max(height, math.floor(frame.height * scale + 0.5))
    image = to_rgb(frame, scaled_width, scaled_height)
    top, left = (scaled_height - height) // 2, (scaled_width - width) // 2
    return np.ascontiguousarray(np.rot90(image[top : top + height, left : left + width], turns))
