"""Interlaced frames, two half pictures of different moments in alternate lines, made whole by FFmpeg's `bwdif`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import av


class TimedFrame(NamedTuple):
    """A decoded frame, on screen from `start` to `end` seconds; a pixel is `pixel_shape` times as wide as high."""

    start: float
    end: float
    frame: av.VideoFrame
    pixel_shape: float


def deinterlaced(frames: Iterator[TimedFrame]) -> Iterator[TimedFrame]:
    """Replace the frames that are marked as interlaced, one by one; the others stay as they are."""
    graph, shape = None, None
    waiting: deque[TimedFrame] = deque()
    for timed in frames:
        frame = timed.frame
        if shape not in (None, _shape(frame)):
            yield from _drawn(graph, waiting, None)
            graph, shape = None, None
        if graph is None and not frame.interlaced_frame:
            yield timed
            continue
        if graph is None:
            graph, shape = _graph(frame), _shape(frame)
        waiting.append(timed)
        yield from _drawn(graph, waiting, frame)
    if graph is not None:
        yield from _drawn(graph, waiting, None)


def _drawn(graph: av.filter.Graph, waiting: deque[TimedFrame], frame: av.VideoFrame | None) -> Iterator[TimedFrame]:
    """Push a frame, or None for the end, and pull what is ready: one frame for each that was pushed, in order."""
    import av

    graph.push(frame)
    while waiting:
        try:
            whole = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        yield waiting.popleft()._replace(frame=whole)


def _shape(frame: av.VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name


def _graph(frame: av.VideoFrame) -> av.filter.Graph:
    import av.filter

    graph = av.filter.Graph()
    graph.threads = 1
    source = graph.add(
        "buffer",
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base={frame.time_base or '1/25'}:"
        f"colorspace={frame.colorspace}:range={frame.color_range}",
    )
    graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
    graph.configure()
    return graph
