"""Video files of unknown origin, opened: which containers are read, and which of a file's streams is the video."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from udpdiff.clip import RejectedClip, Rejection

if TYPE_CHECKING:
    import av

# A file is data, never a recipe: no playlist, concatenation list or device may make FFmpeg open something else.
_CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,flv,asf,ogg,gif,h264,hevc,m4v,mxf,dv,ivf"
# Twice an 8K picture: a header may declare any size, and a decoder takes memory for what is declared.
MAX_PIXELS = 2 * 7680 * 4320


@contextmanager
def opened_video(
    data: bytes | str | os.PathLike[str],
) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Open video bytes or a video file, whatever the file is called; gives the container and its video.

    Raises:
        RejectedClip: It cannot be read, also where FFmpeg says so while it is decoded inside the `with`.
    """
    import av

    try:
        with _container(data) as container:
            yield container, _video_stream(container)
    except (av.FFmpegError, OSError) as error:
        raise RejectedClip(Rejection.UNREADABLE, getattr(error, "strerror", None) or str(error)) from error


def _container(data: bytes | str | os.PathLike[str]) -> av.container.InputContainer:
    import av

    options = {"format_whitelist": _CONTAINERS, "max_pixels": str(MAX_PIXELS)}
    if isinstance(data, bytes | bytearray | memoryview):
        return av.open(io.BytesIO(data), options=options)
    # An absolute path starts with "/", so that no name ("concat:a", "-", "pipe:0") is taken for a protocol.
    options["protocol_whitelist"] = "file"
    path = os.path.abspath(os.fspath(data))
    if os.path.exists(path) and not os.path.isfile(path):  # Opening a named pipe would wait for ever.
        raise RejectedClip(Rejection.UNREADABLE, "not a file")
    return av.open(path, options=options, metadata_errors="replace")


def _video_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The stream that players show: the first one marked as default, else the first; never a picture of a cover."""
    from av.stream import Disposition

    stills = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    streams = [stream for stream in container.streams.video if not stream.disposition & stills]
    if not streams:
        other = "sound only" if container.streams.audio else "nothing to look at"
        raise RejectedClip(Rejection.NO_VIDEO, other)
    known = [stream for stream in streams if stream.codec_context is not None]
    if not known:
        raise RejectedClip(Rejection.UNREADABLE, "its codec is unknown")
    moving = [stream for stream in known if stream.frames != 1] or known
    stream = next((stream for stream in moving if stream.disposition & Disposition.default), moving[0])
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > MAX_PIXELS:
        raise RejectedClip(Rejection.UNREADABLE, f"{width} x {height} pixels, at most {MAX_PIXELS:,} are read")
    stream.codec_context.thread_count = 1
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    return stream
