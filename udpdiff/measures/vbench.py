"""Subject consistency, background consistency and motion smoothness, as VBench defines them.

Knows features and frames; not which network made the features or the middle frames (see `features` and
`interpolation`). With f_t the unit feature of frame t, both consistencies of a video of T frames are

    1 / (T-1) * sum over t = 1..T-1 of (max(0, f_t . f_(t-1)) + max(0, f_t . f_0)) / 2

Source: Vchitect/VBench, vbench/subject_consistency.py, background_consistency.py, motion_smoothness.py.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from udpdiff.finite import check_finite

_PAIR_VALUES = 1 << 16  # of frames that are interpolated at once
STILL_LEVELS = 3  # of 255; H.264 moves values of a frame that is repeated by up to so many
Interpolate = Callable[[np.ndarray, np.ndarray], np.ndarray]


def consistency(features: np.ndarray) -> float:
    """Consistency of one video from its frame features (T, D), T >= 2; they are normalised here.

    Subject consistency takes features of a subject encoder (DINO), background consistency of an image encoder (CLIP).
    """
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"Frame features: got shape {features.shape}, expected (T, D) with T >= 2 frames.")
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    if not np.all(lengths > 0):
        raise ValueError("Frame features: got a frame whose feature is all zero; its direction is undefined.")
    unit = features / lengths
    to_previous = np.einsum("td,td->t", unit[1:], unit[:-1])
    to_first = unit[1:] @ unit[0]
    return float(((np.maximum(to_previous, 0) + np.maximum(to_first, 0)) / 2).mean())


def motion_smoothness(video: np.ndarray, interpolate: Interpolate) -> float:
    """Return how well the odd frames of a video are predicted from the even ones around them, 1 = exactly.

    Predictions are cut to whole numbers (truncated, not rounded) before they are compared.

    Args:
        video: uint8 (T, H, W, 3), T >= 3; the last frame of an even T is unused.
        interpolate: Maps the even frames before and after, float32 (P, H, W, 3) in [0, 255], to the P frames in between;
            called with as many pairs at once as have 65,536 values, at least one: more leave the
            processor's caches, and fill a GPU no better.
    """
    if video.dtype != np.uint8 or video.ndim != 4 or len(video) < 3:
        raise ValueError(f"Video: got {video.dtype} {video.shape}, expected uint8 (T, H, W, 3) with T >= 3 frames.")
    even, odd = video[0::2], video[1::2]
    pairs = len(even) - 1
    step, total = max(1, _PAIR_VALUES // video[0].size), 0
    for first in range(0, pairs, step):
        last = min(first + step, pairs)
        ends = even[first : last + 1].astype(np.float32)
        total += _total_difference(np.asarray(interpolate(ends[:-1], ends[1:])), odd[first:last])
    return (255 - total / (pairs * video[0].size)) / 255


def _total_difference(predicted: np.ndarray, frames: np.ndarray) -> int:
    """Return the sum of absolute differences of predicted frames, in [0, 255], to those that are there, uint8."""
    if predicted.shape != frames.shape:
        raise ValueError(f"Interpolator: got frames {predicted.shape}, expected {frames.shape}, one per pair.")
    check_finite(predicted, "the frames that the interpolator gives", str(predicted.dtype))
    predicted = truncate_to_uint8(predicted)
    return int((np.maximum(predicted, frames) - np.minimum(predicted, frames)).sum(dtype=np.int64))


def is_still(video: np.ndarray) -> bool:
    """Whether every frame of a video uint8 (T, H, W, 3) is the first one, but for what a codec makes of equal frames.

    Such a video is perfectly consistent and perfectly smooth, and shows nothing of either.
    """
    return all(np.abs(frame.astype(np.int16) - video[0]).max() <= STILL_LEVELS for frame in video[1:])


def truncate_to_uint8(frames: np.ndarray) -> np.ndarray:
    """Frames in [0, 255] as uint8, fractions cut off; rounding would change the smoothness by about 5e-4."""
    return np.clip(frames, 0, 255).astype(np.uint8)
