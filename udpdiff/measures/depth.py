"""Depth accuracy: share of pixels within a factor 1.25 (delta 1), RMSE and relative error, after a chosen alignment.

Knows arrays only. Each frame is scored over its valid pixels, frames without any are left out, then frames are
averaged; a data set is the mean over videos. `reference` and `prediction` are what the caller says they are: disparity
(1 = near, the project's `depth`) or metres.

Source: Tencent/DepthCrafter, benchmark/eval/eval.py (one scale and shift per video); prs-eth/Marigold,
script/depth/eval.py and src/util/alignment.py (per frame).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Alignment = Literal["none", "video", "frame"]
Domain = Literal["disparity", "depth"]


@dataclass(frozen=True)
class DepthScore:
    """How accurate depth is.

    Attributes:
        delta1: In [0, 1], higher is better; a mean over frames, as the next two.
        rmse: In the reference's unit, lower is better.
        abs_rel: Share of the reference, lower is better.
        num_frames: Frames scored.
        aligned: What was scored, the prediction in the reference's place, range and units, float64 (T, H, W).
    """

    delta1: float
    rmse: float
    abs_rel: float
    num_frames: int
    aligned: np.ndarray = field(repr=False, compare=False)


def evaluate_depth_maps(
    prediction: np.ndarray,
    reference: np.ndarray,
    *,
    valid: np.ndarray | None = None,
    alignment: Alignment = "video",
    domain: Domain = "disparity",
    min_value: float = 1e-3,
    max_value: float = 1.0,
) -> DepthScore:
    """Score a prediction against a reference.

    Args:
        prediction: (T, h, w), resized (bilinear) when smaller or larger than the reference.
        reference: (T, H, W).
        valid: bool (T, H, W), all by default; in any case min_value < reference < max_value is required (1 itself is
            allowed when max_value is 1, the reference being normalised to [0, 1]).
        alignment: `none` clips the prediction to the range; `video` raises it to min_value, as upstream does, and fits
            one scale and shift by least squares; `frame` fits one per frame.
        domain: `depth` says that the reference is depth in metres while the prediction is disparity: the fit is made to
            1/reference, then inverted, and scores are taken in metres.
        min_value: Of references that count.
        max_value: The same.

    Raises:
        ValueError: No pixel is valid, the prediction is not finite, or an alignment or domain is unknown.
    """
    reference = np.asarray(reference, np.float64)
    prediction = _resized(np.asarray(prediction), reference.shape).astype(np.float64)
    mask = _valid_pixels(reference, valid, min_value, max_value)
    if not mask.any():
        raise ValueError(
            f"Depth: no valid pixel, the reference lies in {reference.min():.4g} to {reference.max():.4g}, valid is "
            f"{min_value:g} to {max_value:g}; check its units and the mask."
        )
    if not np.isfinite(prediction).all():
        raise ValueError(
            "Depth: got a prediction with values that are not finite, expected numbers; check what made it."
        )
    if alignment == "none":
        aligned = np.clip(prediction, min_value, max_value)
    elif alignment == "video":
        aligned = _aligned(np.maximum(prediction, min_value), reference, mask, domain, min_value, max_value)
    elif alignment == "frame":
        frames = zip(prediction, reference, mask, strict=True)
        aligned = np.stack([_aligned(*frame, domain, min_value, max_value) for frame in frames])
    else:
        raise ValueError(f"Depth alignment: got {alignment!r}, expected 'none', 'video' or 'frame'.")
    return _score(aligned, reference, mask)


def temporal_gradient_error(
    aligned: np.ndarray, reference: np.ndarray, *, min_value: float = 1e-3, still: float = 0.05
) -> float:
    """Return how far the changes of a prediction from frame to frame are from those of a reference.

    The mean of ``|change of the prediction - change of the reference|`` over the pixels that are valid in both frames and whose
    reference changes by less than a share of its range, which leaves out what moves across an edge; then the mean over
    steps.

    Args:
        aligned: The prediction (T, H, W) in the reference's scale, see `DepthScore.aligned`.
        reference: Disparity (T, H, W), at most 1.
        min_value: Of references that count.
        still: That share.

    Returns:
        In the reference's unit, per frame; nan where no pixel counts, which holds for T = 1 and for a constant reference.

    Raises:
        ValueError: The shapes differ.

    Source: Chen et al., Video Depth Anything (temporal gradient matching), on the labels of a teacher.
    """
    reference = np.asarray(reference, np.float64)
    if aligned.shape != reference.shape:
        raise ValueError(f"Depth: got {aligned.shape} and {reference.shape}, expected the same (T, H, W) for both.")
    valid = _valid_pixels(reference, None, min_value, 1.0)
    seen = reference[valid]
    limit = still * (seen.max() - seen.min()) if seen.size else 0.0
    errors = []
    for step in range(len(reference) - 1):
        change = reference[step + 1] - reference[step]
        counted = valid[step] & valid[step + 1] & (np.abs(change) < limit)
        if counted.any():
            errors.append(np.abs(aligned[step + 1] - aligned[step] - change)[counted].mean())
    return float(np.mean(errors)) if errors else float("nan")


def _valid_pixels(reference: np.ndarray, valid: np.ndarray | None, min_value: float, max_value: float) -> np.ndarray:
    """bool (T, H, W): pixels where the reference is scored; values near 0 have no meaningful ratio."""
    mask = reference > min_value
    mask &= reference <= max_value if max_value == 1.0 else reference < max_value
    return mask if valid is None else mask & np.asarray(valid, bool)


def fit_scale_and_shift(prediction: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """Least-squares a, b of a * prediction + b = target over flat arrays (N,); a constant prediction gets a = 0."""
    prediction, target = np.asarray(prediction, np.float64), np.asarray(target, np.float64)
    middle, goal = prediction.mean(), target.mean()
    spread = ((prediction - middle) ** 2).sum()
    if spread <= 1e-24 * max(1.0, middle * middle) * len(prediction):
        return 0.0, float(goal)
    scale = ((prediction - middle) * (target - goal)).sum() / spread
    return float(scale), float(goal - scale * middle)


def _aligned(prediction, reference, mask, domain, min_value, max_value):
    if not mask.any():
        return prediction
    if domain == "disparity":
        scale, shift = fit_scale_and_shift(prediction[mask], reference[mask])
        return np.clip(scale * prediction + shift, min_value, max_value)
    if domain != "depth":
        raise ValueError(f"Depth domain: got {domain!r}, expected 'disparity' or 'depth'.")
    # DepthCrafter, which fits videos, adds a little to the reference; Marigold, which fits frames, does not.
    offset = 1e-8 if reference.ndim == 3 else 0.0
    scale, shift = fit_scale_and_shift(prediction[mask], 1 / (reference[mask] + offset))
    disparity = np.maximum(scale * prediction + shift, min_value)
    return np.clip(1 / disparity, min_value, max_value)


def _score(prediction, reference, mask) -> DepthScore:
    rows = []
    for frame_prediction, frame_reference, frame_mask in zip(prediction, reference, mask, strict=True):
        if not frame_mask.any():
            continue
        p, g = frame_prediction[frame_mask], frame_reference[frame_mask]
        delta1 = (np.maximum(p / g, g / p) < 1.25).mean()
        rows.append((delta1, np.sqrt(((p - g) ** 2).mean()), (np.abs(p - g) / g).mean()))
    delta1, rmse, abs_rel = np.mean(rows, axis=0)
    return DepthScore(float(delta1), float(rmse), float(abs_rel), len(rows), prediction)


def _resized(prediction: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if prediction.ndim != 3 or len(prediction) != shape[0]:
        raise ValueError(f"Depth: got prediction {prediction.shape}, expected ({shape[0]}, h, w) as in the reference.")
    if prediction.shape == shape:
        return prediction
    import torch

    frames = torch.from_numpy(np.ascontiguousarray(prediction)).float()[:, None]
    return torch.nn.functional.interpolate(frames, shape[1:], mode="bilinear", align_corners=False)[:, 0].numpy()
