"""When the frames of a video are on screen: decoding in order of time, from any moment, and how long it all lasts.

Seconds count from the first frame of the stream, wherever the container's clock stood then.
"""

from __future__ import annotations

import math
import os
import re
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from udpdiff.clip import RejectedClip, Rejection
from udpdiff.decoding.deinterlacing import TimedFrame, deinterlaced
from udpdiff.decoding.opening import opened_video

if TYPE_CHECKING:
    import av

# Containers round timestamps, Matroska to a millisecond; a frame that is due within this is taken as shown.
TIMESTAMP_TOLERANCE_SECONDS = 0.002
# FFmpeg looks for the first frame of each stream in some seconds of the file; what it says of later ones is a guess.
_TRUSTED_WITHIN_SECONDS = 0.5
# What calls itself faster is the tick of a clock, as FFmpeg's average of a DV tape.
_FASTEST_RATE = 1000
# Hours of Matroska's tag; more digits than a century has are none, and no number that times can be counted in.
_DURATION = re.compile(r"(\d{1,6}):(\d{1,2}):(\d{1,2}(?:\.\d{1,9})?)", re.ASCII)


@dataclass(frozen=True)
class Span:
    """When a stream begins, in seconds of the container's clock, and how many seconds it lasts."""

    origin: Fraction
    duration: float


def frame_rate(container: av.container.InputContainer, stream: av.VideoStream) -> Fraction:
    """Frames a second, on average; 0 where nothing says."""
    # Of files without timestamps FFmpeg's average is a default of 25; the stream itself knows better.
    rates = (stream.guessed_rate, stream.average_rate)
    ordered = rates if _has_no_timestamps(container) else rates[::-1]
    return next((rate for rate in ordered if rate and rate <= _FASTEST_RATE), Fraction(0))


def span(data: bytes | str | os.PathLike[str]) -> Span:
    """Find out when a video begins and how long it lasts; its first frame alone is decoded.

    Raises:
        RejectedClip: It cannot be read.
    """
    with opened_video(data) as (container, stream):
        with closing(_timed(container, stream, Fraction(0))) as frames:
            first = next((timed for timed in frames if timed.start > -math.inf), None)
        if first is None:
            raise RejectedClip(Rejection.BROKEN, "it holds no frames, or none that says when it is shown")
        origin = Fraction(first.start)
        # Program streams have no header that says; FFmpeg's guess follows the few timestamps that there are.
        duration = None if container.format.name == "mpeg" else _promised_duration(stream, origin)
    return Span(origin, _counted_duration(data, origin) if duration is None else duration)


def frames(
    container: av.container.InputContainer, stream: av.VideoStream, origin: Fraction = Fraction(0)
) -> Iterator[TimedFrame]:
    """Decode a container from where it stands, in order of time; interlaced frames come deinterlaced.

    Frames before the first whole one, of a file that was cut within a group of pictures, are left out.

    Raises:
        RejectedClip: Frames are damaged.
    """
    return deinterlaced(_timed(container, stream, origin))


def frames_from(data: bytes | str | os.PathLike[str], origin: Fraction, start: float) -> Iterator[TimedFrame]:
    """Decode in order of time, beginning with a frame at or before `start`, or with the first of all.

    Raises:
        RejectedClip: It cannot be read, or frames are damaged.
    """
    # MPEG-TS has no index: its seeks land too far, or past the end. Then earlier starts are tried, last the beginning.
    for position in (start, start - 10.0, 0.0):
        if position < 0:
            continue
        begun = False
        try:
            with opened_video(data) as (container, stream):
                if position > 0 and not _sought(container, stream, origin + Fraction(position)):
                    continue
                for timed in frames(container, stream, origin):
                    if timed.start == -math.inf:
                        continue
                    if not begun and position > 0 and timed.start > start + TIMESTAMP_TOLERANCE_SECONDS:
                        break
                    begun = True
                    yield timed
        except RejectedClip:
            if begun or not position > 0:
                raise
        if begun:
            return


def _sought(container: av.container.InputContainer, stream: av.VideoStream, clock: Fraction) -> bool:
    import av

    # Without timestamps of frames, order is all there is, and it counts from the beginning.
    if _has_no_timestamps(container) or _tells_decoding_times_only(container, stream):
        return False
    try:
        container.seek(int(clock / stream.time_base), stream=stream, backward=True)
    except (av.FFmpegError, OverflowError):  # a time that no timestamp holds
        return False
    return True


def _promised_duration(stream: av.VideoStream, origin: Fraction) -> float | None:
    """What the header says, or None."""
    start = (stream.start_time or 0) * stream.time_base
    if stream.duration and abs(start - origin) < _TRUSTED_WITHIN_SECONDS:
        return float(stream.duration * stream.time_base)
    # Matroska's tag per stream; its container's duration covers sound as well. FFmpeg counts it from the beginning of
    # the file, mkvmerge, which marks its tags, from the stream's first frame.
    tag = _DURATION.fullmatch(stream.metadata.get("DURATION", ""))
    if not tag:
        return None
    seconds = 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3])
    return seconds if "_STATISTICS_TAGS" in stream.metadata else seconds - float(origin)


def _counted_duration(data: bytes | str | os.PathLike[str], origin: Fraction) -> float:
    """What the packets say, which are not decoded."""
    with opened_video(data) as (container, stream):
        packets = (packet for packet in container.demux(stream) if packet.size)
        if _has_no_timestamps(container):
            return float(sum(1 for _ in packets) / (frame_rate(container, stream) or 1))
        by_dts = _tells_decoding_times_only(container, stream)
        end, last = 0, 0
        for packet in packets:
            time = packet.dts if by_dts else packet.pts
            end = (end if time is None else time) + (packet.duration or 0)
            last = max(last, end)
        return float(last * stream.time_base - origin)


def _timed(container: av.container.InputContainer, stream: av.VideoStream, origin: Fraction) -> Iterator[TimedFrame]:
    rate = frame_rate(container, stream)
    interval = 1 / rate if rate else Fraction(0)
    ratio = stream.sample_aspect_ratio
    # 1 where the file says nothing, or nonsense.
    pixel_shape = float(ratio) if ratio and 0.1 < ratio < 10 else 1.0
    end: Fraction | float = -math.inf  # until a first timestamp is met
    for index, (dts, frame) in enumerate(_decoded(container, stream)):
        if _has_no_timestamps(container):
            start = index * interval
        elif _tells_decoding_times_only(container, stream):
            # The k-th frame to be shown is due, but for a constant, when the k-th packet is decoded.
            start = end if dts is None else dts * stream.time_base - origin
        else:
            # Without a timestamp a frame follows the one before it.
            start = end if frame.pts is None else frame.pts * stream.time_base - origin
        end = start + (frame.duration * stream.time_base if frame.duration else interval)
        yield TimedFrame(float(start), float(end), frame, pixel_shape)


def _decoded(
    container: av.container.InputContainer, stream: av.VideoStream
) -> Iterator[tuple[int | None, av.VideoFrame]]:
    """Yield the frames in the order in which they are shown, with the times at which packets are due, in theirs."""
    import av

    due: deque[int | None] = deque()
    begun, first_failure = False, None
    for packet in container.demux(stream):
        if packet.size:
            due.append(packet.dts)
        if not begun and packet.has_sidedata("encryption_info"):
            raise RejectedClip(Rejection.UNREADABLE, "it is encrypted")
        decoded, failure = [], None
        try:
            decoded = packet.decode()
        except av.InvalidDataError as error:
            failure = error
        if failure or any(frame.is_corrupt for frame in decoded):
            if begun:
                raise RejectedClip(Rejection.BROKEN, "damaged frames") from failure
            # The file, or what follows a jump into it, begins within a group of pictures.
            first_failure = first_failure or failure
            due.clear()
            continue
        for frame in decoded:
            begun = True
            yield due.popleft() if due else None, frame
    if first_failure and not begun:
        raise first_failure


def _has_no_timestamps(container: av.container.InputContainer) -> bool:
    """A bare stream, as H.264 in a file of its own."""
    from av.format import Flags

    return bool(container.format.flags & Flags.no_timestamps.value)


def _tells_decoding_times_only(container: av.container.InputContainer, stream: av.VideoStream) -> bool:
    """AVI counts packets; where frames are decoded in another order than shown, FFmpeg's timestamps are wrong."""
    return container.format.name == "avi" and bool(stream.codec_context.has_b_frames)
