"""Depth accuracy: share of pixels within a factor 1.25 (delta 1), RMSE and relative error, after a chosen alignment.

Knows arrays only. Each frame is scored over its valid pixels, frames without any are left out, then frames are
averaged; a data set is the mean over videos. `reference` and `prediction` are what the caller says they are: disparity
(1 = near, the project's `depth`) or metres.

Source: Tencent/DepthCrafter, benchmark/eval/eval.py (one scale and shift per video); prs-eth/Marigold,
script/depth/eval.py and src/util/alignment.py (per frame).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Alignment = Literal["none", "video", "frame"]
Domain = Literal["disparity", "depth"]


@dataclass(frozen=True)
class DepthScore:
    """Means over frames: delta1 in [0, 1], higher is better; rmse and abs_rel, lower is better; frames scored."""

    delta1: float
    rmse: float
    abs_rel: float
    num_frames: int


def evaluate_depth_maps(
    prediction: np.ndarray,
    reference: np.ndarray,
    *,
    valid: np.ndarray | None = None,
    alignment: Alignment = "video",
    domain: Domain = "disparity",
    min_value: float = 1e-3,
    max_value: float = 1.0,
    clip_before_fit: bool | None = None,
) -> DepthScore:
    """Score prediction (T, h, w) against reference (T, H, W).

    The prediction is resized (bilinear) when smaller or larger. valid: bool (T, H, W), all by default; in any case
    min_value < reference < max_value is required (1 itself is allowed when max_value is 1, the reference being
    normalised to [0, 1]). alignment `none` clips the prediction to the range; `video` fits one scale and shift by least
    squares, `frame` one per frame. domain `depth` says that the reference is depth in metres while the prediction is
    disparity: the fit is made to 1/reference, then inverted, and scores are taken in metres. clip_before_fit: raise the
    prediction to min_value before the fit; by default for `video`, as upstream does.
    Raises ValueError when no pixel is valid.
    """
    reference = np.asarray(reference, np.float64)
    aligned = align_depth_maps(
        prediction,
        reference,
        valid=valid,
        alignment=alignment,
        domain=domain,
        min_value=min_value,
        max_value=max_value,
        clip_before_fit=clip_before_fit,
    )
    return _score(aligned, reference, valid_pixels(reference, valid, min_value, max_value))


def align_depth_maps(
    prediction: np.ndarray,
    reference: np.ndarray,
    *,
    valid: np.ndarray | None = None,
    alignment: Alignment = "video",
    domain: Domain = "disparity",
    min_value: float = 1e-3,
    max_value: float = 1.0,
    clip_before_fit: bool | None = None,
) -> np.ndarray:
    """The prediction in the reference's place, range and units, float64 (T, H, W): what `evaluate_depth_maps` scores.

    Arguments and errors are those of `evaluate_depth_maps`.
    """
    reference = np.asarray(reference, np.float64)
    prediction = _resized(np.asarray(prediction), reference.shape).astype(np.float64)
    mask = valid_pixels(reference, valid, min_value, max_value)
    if not mask.any():
        raise ValueError(
            f"Depth: no valid pixel, the reference lies in {_range(reference)}, valid is {min_value:g} to "
            f"{max_value:g}; check its units and the mask."
        )
    if alignment == "none":
        return np.clip(prediction, min_value, max_value)
    if alignment == "video":
        clipped = prediction if clip_before_fit is False else np.maximum(prediction, min_value)
        return _aligned(clipped, reference, mask, domain, min_value, max_value)
    if alignment == "frame":
        clipped = np.maximum(prediction, min_value) if clip_before_fit else prediction
        return np.stack(
            [_aligned(*frame, domain, min_value, max_value) for frame in zip(clipped, reference, mask, strict=True)]
        )
    raise ValueError(f"Depth alignment: got {alignment!r}, expected 'none', 'video' or 'frame'.")


def valid_pixels(reference: np.ndarray, valid: np.ndarray | None, min_value: float, max_value: float) -> np.ndarray:
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
    scale, shift = fit_scale_and_shift(prediction[mask], 1 / (reference[mask] + 1e-8))
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
    return DepthScore(float(delta1), float(rmse), float(abs_rel), len(rows))


def _resized(prediction: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if prediction.ndim != 3 or len(prediction) != shape[0]:
        raise ValueError(f"Depth: got prediction {prediction.shape}, expected ({shape[0]}, h, w) as in the reference.")
    if prediction.shape == shape:
        return prediction
    import torch

    frames = torch.from_numpy(np.ascontiguousarray(prediction)).float()[:, None]
    return torch.nn.functional.interpolate(frames, shape[1:], mode="bilinear", align_corners=False)[:, 0].numpy()


def _range(values: np.ndarray) -> str:
    return f"{values.min():.4g} to {values.max():.4g}"
