"""Decoded frames as the pictures that players show: upright, mirrored where the file says so, pixels square."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from udpdiff.clip import RejectedClip, Rejection
from udpdiff.decoding.colors import to_rgb
from udpdiff.decoding.deinterlacing import TimedFrame
from udpdiff.decoding.opening import MAX_PIXELS

if TYPE_CHECKING:
    import av


class Orientation(NamedTuple):
    """How a stored picture is laid out for the screen: rows and columns exchanged first, then mirrored."""

    transposed: bool
    flipped_across: bool
    flipped_down: bool

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Lay out an image (H,W,3)."""
        image = image.swapaxes(0, 1) if self.transposed else image
        return np.ascontiguousarray(image[:: -1 if self.flipped_down else 1, :: -1 if self.flipped_across else 1])


def orientation(frame: av.VideoFrame) -> Orientation:
    """Read a frame's display matrix; between quarter turns, the nearest counts.

    Source: ISO/IEC 14496-12, 8.3.2: a pixel at (p, q) is shown at (a p + c q, b p + d q).
    """
    a, b, c, d = _display_matrix(frame)
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, c < 0, b < 0)
    return Orientation(False, a < 0, d < 0)


def upright(timed: TimedFrame) -> np.ndarray:
    """A frame at its own size, uint8 (H,W,3) RGB, widened to square pixels.

    Raises:
        RejectedClip: Its colours cannot be converted.
    """
    frame, shape = timed.frame, timed.pixel_shape
    # Ratios next to 1 come from rounding sizes; following them would blur every pixel to move none.
    width = frame.width if 0.99 < shape < 1.01 else max(1, math.floor(frame.width * shape + 0.5))
    return orientation(frame).apply(to_rgb(frame, width, frame.height))


def fitted(timed: TimedFrame, height: int, width: int) -> np.ndarray:
    """A frame scaled to cover (height, width) without changing shapes and cropped at the centre, uint8 (H,W,3) RGB.

    Raises:
        RejectedClip: Its colours cannot be converted, or it is so narrow that scaled to cover it would be huge.
    """
    frame, shape = timed.frame, timed.pixel_shape
    laid_out = orientation(frame)
    if laid_out.transposed:
        height, width = width, height
    scale = max(width / (frame.width * shape), height / frame.height)
    scaled_width = max(width, math.floor(frame.width * shape * scale + 0.5))
    scaled_height = max(height, math.floor(frame.height * scale + 0.5))
    if scaled_width * scaled_height > MAX_PIXELS:
        raise RejectedClip(
            Rejection.UNREADABLE, f"{frame.width} x {frame.height} pixels are too narrow to fill {width} x {height}"
        )
    image = to_rgb(frame, scaled_width, scaled_height)
    top, left = (scaled_height - height) // 2, (scaled_width - width) // 2
    return laid_out.apply(image[top : top + height, left : left + width])


def _display_matrix(frame: av.VideoFrame) -> tuple[int, int, int, int]:
    try:
        matrix = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV refuses to list what comes with a frame where it knows the kind of one not, as EXIF; the angle it tells.
        turn = math.radians(frame.rotation)
        return round(math.cos(turn)), -round(math.sin(turn)), round(math.sin(turn)), round(math.cos(turn))
    if matrix is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    return a, b, c, d
