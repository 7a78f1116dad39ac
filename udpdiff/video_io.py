"""Encoded video in and out of memory: H.264 mp4 bytes <-> uint8 (T,H,W,3) arrays.

Knows nothing of clips, captions or resampling; every frame of a file is taken as it is. Cutting clips of fixed size from
footage of unknown origin is the work of `udpdiff.sources.videos`.
"""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from udpdiff.clip import RejectedClip, Rejection
from udpdiff.decoding import timing
from udpdiff.decoding.opening import opened_video
from udpdiff.decoding.pictures import fitted, upright
from udpdiff.files import replaced_file

if TYPE_CHECKING:
    import av

    from udpdiff.decoding.deinterlacing import TimedFrame


@dataclass(frozen=True)
class VideoInfo:
    """What a video file says about itself; `num_frames` and `duration_seconds` are None where the header says nothing."""

    width: int
    height: int
    fps: float
    num_frames: int | None
    duration_seconds: float | None
    codec: str


def encode_mp4(video: np.ndarray, fps: float, crf: int = 12, lossless: bool = False) -> bytes:
    """Encode a video as H.264 mp4 bytes.

    Equal input mostly gives equal bytes, with one build of x264 on one kind of processor, but x264 does not promise it: at
    32 x 32 pixels a few of a thousand encodes differed, at 64 x 64 none of 1,950.

    Args:
        video: uint8 (T,H,W,3) RGB, T >= 1, H and W even.
        fps: Above 0, at most 1000.
        crf: 0 (near lossless) to 51; without effect on a lossless video.
        lossless: `decode_mp4` gives exactly the same RGB values back. Browsers play only videos that are not lossless.

    Raises:
        ValueError: Another shape or dtype, odd sides, or numbers out of range.
    """
    import av

    _check_video(video)
    _check_encoding(fps, crf)
    height, width = video.shape[1:3]
    buffer = io.BytesIO()
    # The index goes to the front, so that browsers start at once. "faststart" would need a file to reopen; reserving
    # room needs none (measured: about 800 bytes and 5 more per frame).
    options = {"moov_size": str(2048 + 32 * len(video)), "fflags": "+bitexact"}
    with av.open(buffer, "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264rgb" if lossless else "libx264", rate=_rate(fps))
        stream.width, stream.height, stream.pix_fmt = width, height, "rgb24" if lossless else "yuv420p"
        # One thread: x264 splits frames among threads, and the split changes the bytes.
        stream.codec_context.thread_count = 1
        quality = {"qp": "0"} if lossless else {"crf": str(crf)}
        stream.options = quality | {"preset": "medium", "threads": "1", "x264-params": "bframes=0"}
        if not lossless:
            _tag_bt709(stream.codec_context)
        for index, array in enumerate(np.ascontiguousarray(video)):
            frame = av.VideoFrame.from_ndarray(array, format="rgb24")
            frame = frame if lossless else _to_yuv(frame)
            frame.pts, frame.time_base = index, 1 / _rate(fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def decode_mp4(data: bytes | str | os.PathLike[str]) -> np.ndarray:
    """Decode all frames of a video, given as bytes or as a path; the same as `read_video`.

    Returns:
        uint8 (T,H,W,3) RGB; of the project's own videos exactly the frames that are stored.

    Raises:
        ValueError: It cannot be read.
    """
    return read_video(data)


def read_video(
    path: bytes | str | os.PathLike[str], max_frames: int | None = None, short_side: int | None = None
) -> np.ndarray:
    """Read the frames of a video of any size and length, at its own rate, as players show them.

    Upright and mirrored where the file says so, with square pixels, deinterlaced, in BT.709 RGB; pictures of covers and
    further video streams are left out. Where the size changes midway, later frames are scaled to cover the first's.

    Args:
        path: Of the file, or its bytes.
        max_frames: No more than the first so many, for the array holds them all.
        short_side: Pixels of the shorter side that bigger pictures are shrunk to; None for their own size.

    Returns:
        uint8 (T,H,W,3) RGB.

    Raises:
        ValueError: The file cannot be read.
    """
    if max_frames is not None and max_frames < 1:
        raise ValueError(f"max_frames: got {max_frames}; expected at least 1, or None for all")
    pictures: list[np.ndarray] = []
    try:
        with opened_video(path) as (container, stream), closing(timing.frames(container, stream)) as frames:
            pictures.extend(_of_one_size(itertools.islice(frames, max_frames), short_side))
    except RejectedClip as rejected:
        raise ValueError(f"cannot decode {_name(path)}: {rejected}; expected {_expected(rejected)}") from rejected
    if not pictures:
        raise ValueError(f"cannot decode {_name(path)}: it holds no frames")
    return np.stack(pictures)


def shrunk_size(height: int, width: int, short_side: int | None) -> tuple[int, int]:
    """Return the even (height, width) of a picture whose shorter side is shrunk to `short_side`; its own where it is no bigger."""
    if short_side is None or min(height, width) <= short_side:
        return height, width
    scale = short_side / min(height, width)
    return tuple(max(2, 2 * round(side * scale / 2)) for side in (height, width))


def write_mp4(path: str | os.PathLike[str], video: np.ndarray, fps: float, crf: int = 12) -> None:
    """Encode a video (see `encode_mp4`) into a file that appears whole or not at all."""
    data = encode_mp4(video, fps, crf)
    with replaced_file(path) as staging:
        staging.write_bytes(data)


def probe(data: bytes | str | os.PathLike[str]) -> VideoInfo:
    """Read what a video says about itself; of the stream and in the size that `read_video` gives.

    The first frame alone is decoded, for it says how the picture is turned.

    Raises:
        ValueError: There is no readable video stream.
    """
    try:
        duration = timing.span(data).duration
        with opened_video(data) as (container, stream):
            rate = timing.frame_rate(container, stream)
            with closing(timing.frames(container, stream)) as frames:
                first = next(frames, None)
            if first is None:
                raise RejectedClip(Rejection.BROKEN, "it holds no frames")
            height, width = upright(first).shape[:2]
            name = stream.codec_context.name
            return VideoInfo(width, height, float(rate), stream.frames or None, duration or None, name)
    except RejectedClip as rejected:
        raise ValueError(f"cannot read {_name(data)}: {rejected}; expected {_expected(rejected)}") from rejected


def _expected(rejected: RejectedClip) -> str:
    if rejected.reason == Rejection.BROKEN:
        return "frames that can all be decoded: get the file anew, or save what it holds: ffmpeg -i FILE saved.mp4"
    return "a video file with a video stream"


def _of_one_size(frames: Iterable[TimedFrame], short_side: int | None) -> Iterator[np.ndarray]:
    """Yield pictures of the size that the first is shrunk to."""
    own = size = None
    for timed in frames:
        picture = upright(timed) if size == own else fitted(timed, *size)
        if size is None:
            own = picture.shape[:2]
            size = shrunk_size(*own, short_side)
        yield picture if picture.shape[:2] == size else fitted(timed, *size)


def _to_yuv(frame: av.VideoFrame) -> av.VideoFrame:
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation

    flags = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INP | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
    return frame.reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        dst_color_trc=ColorTrc.BT709,
        dst_color_primaries=ColorPrimaries.BT709,
        interpolation=flags,
        threads=1,
    )


def _tag_bt709(codec_context: Any) -> None:
    """Name the colours in the stream: an untagged video is shown in other colours by other players."""
    from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

    codec_context.colorspace = Colorspace.ITU709
    codec_context.color_range = ColorRange.MPEG
    codec_context.color_trc = ColorTrc.BT709
    codec_context.color_primaries = ColorPrimaries.BT709


def _rate(fps: float) -> Fraction:
    return Fraction(fps).limit_denominator(1001)


def _check_video(video: np.ndarray) -> None:
    if not (isinstance(video, np.ndarray) and video.dtype == np.uint8 and video.ndim == 4 and video.shape[-1] == 3):
        got = f"{video.dtype} {video.shape}" if isinstance(video, np.ndarray) else type(video).__name__
        raise ValueError(f"video: got {got}; expected uint8 (T,H,W,3), RGB")
    frames, height, width = video.shape[:3]
    if frames == 0 or height == 0 or width == 0:
        raise ValueError(f"video: got shape {video.shape}; expected at least one frame and one pixel")
    if height % 2 or width % 2:
        raise ValueError(
            f"video: got {width}x{height} pixels; H.264 in yuv420p needs even sides: crop or pad by one pixel"
        )


def _check_encoding(fps: float, crf: int) -> None:
    if not 0 < fps <= 1000:
        raise ValueError(f"fps: got {fps}; expected a number above 0 and at most 1000")
    if not 0 <= crf <= 51:
        raise ValueError(f"crf: got {crf}; expected 0 (best) to 51 (smallest)")


def _name(data: Any) -> str:
    return f"{len(data)} bytes of video" if isinstance(data, bytes | bytearray | memoryview) else f"'{os.fspath(data)}'"
