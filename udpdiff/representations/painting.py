"""Paints numbers by a table of colours, and packs colours into numbers, frame by frame; knows nothing of what they stand for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def paint(
    values: np.ndarray, colors: np.ndarray, number: Callable[[np.ndarray], np.ndarray] = lambda frame: frame
) -> np.ndarray:
    """Return the colour of each value: uint8 (..., 3) for values (...), colors uint8 (N,3).

    number: the numbers of a frame's values, integers in [0, N); by default the values themselves.
    """
    painted = np.empty((*values.shape, 3), np.uint8)
    # One frame at a time: the indices that numpy makes of numbers are four times as large as these.
    frames = (painted.reshape(-1, *painted.shape[-3:]), values.reshape(-1, *values.shape[-2:])) if values.size else ()
    for frame, given in zip(*frames, strict=True):
        np.take(colors, number(given), axis=0, out=frame, mode="clip")
    return painted


def pack_colors(colors: np.ndarray) -> np.ndarray:
    """Return one int32 code per colour uint8 (..., 3), red highest; equal codes mean equal colours."""
    codes = colors[..., 0].astype(np.int32)
    for channel in (1, 2):
        codes <<= 8
        codes |= colors[..., channel]
    return codes


def unpack_colors(codes: np.ndarray) -> np.ndarray:
    """Return the colours of codes (...): uint8 (..., 3)."""
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1).astype(np.uint8)
