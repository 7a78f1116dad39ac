"""Decoded frames of any pixel format and colour space as BT.709 RGB.

FFmpeg converts: wide gamuts and the primaries of old standards by its filter `colorspace`, high dynamic range (PQ and
HLG) and other curves by swscale, which clips what is brighter than a reference white of 203 cd/m2. What neither can
convert is rejected.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from udpdiff.clip import RejectedClip, Rejection

if TYPE_CHECKING:
    import av
    from av.video.reformatter import VideoReformatter

# Code points of ITU-T H.273, which FFmpeg shares.
_BT709, _BT601, _BT2020, _PQ, _HLG = 1, 5, 9, 16, 18
_UNSPECIFIED = {0, 2, 3}  # 0, where it names no matrix but RGB, stands on frames that are none
# Curves that differ on paper and are shown alike by players: BT.709, 601, 240M, xvYCC, BT.1361, sRGB, BT.2020.
_ORDINARY_TRANSFERS = {1, 6, 7, 11, 12, 13, 14, 15} | _UNSPECIFIED
_YUV_MATRICES = {_BT709: _BT709, 4: 4, 5: _BT601, 6: _BT601, 7: 7, _BT2020: _BT2020}  # to swscale's names for them
_thread = threading.local()


def to_rgb(frame: av.VideoFrame, width: int, height: int) -> np.ndarray:
    """Convert a decoded frame to uint8 (height,width,3) RGB, antialiased where it is resized; alpha is dropped.

    Raises:
        RejectedClip: Its colours cannot be converted.
    """
    import av
    from av.video.reformatter import Interpolation

    # A box filter averages every source pixel on the way down; on the way up it would give blocks.
    shrinks = width < frame.width or height < frame.height
    filter_ = Interpolation.AREA if shrinks else Interpolation.BICUBIC
    flags = filter_ | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
    settings = {"width": width, "height": height, "interpolation": flags, "threads": 1}
    try:
        settings["src_colorspace"] = _yuv_matrix(frame)
        if frame.color_trc not in _ORDINARY_TRANSFERS:
            rgb = _on_another_curve(frame, settings)
        elif frame.color_primaries not in _UNSPECIFIED | {_BT709}:
            rgb = _in_other_primaries(frame, settings)
        else:
            rgb = frame.reformat(format="rgb24", **settings)
    except (av.FFmpegError, OSError) as error:
        colors = f"primaries {frame.color_primaries}, transfer {frame.color_trc}, matrix {frame.colorspace}"
        raise RejectedClip(
            Rejection.UNREADABLE, f"its colours ({colors} of ITU-T H.273) cannot be converted to BT.709"
        ) from error
    return rgb.to_ndarray()


def _yuv_matrix(frame: av.VideoFrame) -> int:
    if frame.format.is_rgb:
        return _BT601  # without effect
    if frame.colorspace not in _UNSPECIFIED:
        if frame.colorspace not in _YUV_MATRICES:
            raise OSError("a matrix that swscale does not know")
        return _YUV_MATRICES[frame.colorspace]
    if frame.color_primaries == _BT2020 or frame.color_trc in (_PQ, _HLG):
        return _BT2020
    return _BT709 if frame.height >= 720 else _BT601


def _in_other_primaries(frame: av.VideoFrame, settings: dict[str, Any]) -> av.VideoFrame:
    import av.filter
    from av.video.reformatter import ColorRange, Colorspace

    in_bt709 = {"dst_colorspace": Colorspace.ITU709, "dst_color_range": ColorRange.MPEG}
    yuv = frame.reformat(format="yuv444p10le", **settings, **in_bt709)
    graph = av.filter.Graph()
    graph.threads = 1
    size = f"video_size={yuv.width}x{yuv.height}:pix_fmt={yuv.format.name}:time_base=1/1"
    conversion = f"ispace=bt709:irange=tv:itrc=bt709:iprimaries={frame.color_primaries}:all=bt709:range=tv"
    nodes = [("buffer", f"{size}:colorspace=bt709:range=tv"), ("colorspace", conversion), ("buffersink", None)]
    graph.link_nodes(*(graph.add(name, options) for name, options in nodes)).configure()
    graph.push(yuv)
    rest = settings | {"src_colorspace": _BT709}
    return graph.pull().reformat(format="rgb24", **rest)


def _on_another_curve(frame: av.VideoFrame, settings: dict[str, Any]) -> av.VideoFrame:
    # swscale converts nothing from the unknown.
    if frame.color_primaries in _UNSPECIFIED:
        frame.color_primaries = _BT2020 if frame.color_trc in (_PQ, _HLG) else _BT709
    return _converter().reformat(frame, format="rgb24", dst_color_trc=_BT709, dst_color_primaries=_BT709, **settings)


def _converter() -> VideoReformatter:
    """One for each thread: swscale takes seconds for the table of a conversion, and keeps it for frames alike."""
    from av.video.reformatter import VideoReformatter

    if not hasattr(_thread, "converter"):
        _thread.converter = VideoReformatter()
    return _thread.converter
