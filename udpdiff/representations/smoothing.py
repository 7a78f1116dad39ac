"""Mean colours over 3 x 3 pixels of a frame, and how flat a place is; knows nothing of entities.

Rounding is part of it: first down the columns, then along the rows, each mean taken exactly and rounded to float32. So
what is decoded does not depend on how many pixels are smoothed at once.
"""

from __future__ import annotations

import numpy as np

_BAND_ROWS = 32  # smoothed at once, so that what is needed in between stays in a processor's cache


def smooth(frame: np.ndarray) -> np.ndarray:
    """Return the mean colours of a frame uint8 (H,W,3): float32 (H,W,3); borders count twice."""
    smoothed = np.empty(frame.shape, np.float32)
    for start in range(0, len(frame), _BAND_ROWS):
        rows = np.arange(start, min(start + _BAND_ROWS, len(frame)))
        down = _down(frame, rows)
        total = down.copy()
        total[:, 1:] += down[:, :-1]
        total[:, 0] += down[:, 0]
        total[:, :-1] += down[:, 1:]
        total[:, -1] += down[:, -1]
        np.divide(total, 3, out=smoothed[start : start + len(rows)], casting="same_kind")
    return smoothed


def smooth_at(frame: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the mean colours at the places where some rows (R,) and columns (C,) cross: float32 (R,C,3)."""
    down = _down(frame, rows)
    left, right = np.maximum(columns - 1, 0), np.minimum(columns + 1, frame.shape[1] - 1)
    return ((down[:, columns] + down[:, left] + down[:, right]) / 3).astype(np.float32)


def _down(frame: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Means over three pixels of a column, rounded to float32: float64 (R,W,3), as sums of three are exact in it."""
    total = np.add(frame[np.maximum(rows - 1, 0)], frame[np.minimum(rows + 1, len(frame) - 1)], dtype=np.uint16)
    total += frame[rows]
    return (total / np.float32(3)).astype(np.float64)


def flatness(before: np.ndarray, after: np.ndarray, flat_gradient: float) -> np.ndarray:
    """Return how flat places are, in (0, 1]: float32 (...).

    before, after: float32 (2, ..., 3), mean colours above and left of each place, and below and right of it; at a border
    those of the place itself. flat_gradient: change per pixel at which flatness falls to 1/e.
    """
    squared = np.zeros(before.shape[1:-1], np.float32)
    for low, high in zip(before, after, strict=True):
        slope = (high - low) * np.float32(0.5)
        squared += np.einsum("...c,...c->...", slope, slope)
    return np.exp(-squared / flat_gradient**2)
