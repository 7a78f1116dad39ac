"""How steady a dense prediction is along the optical flow of its own video.

Needs no labels, so a prediction that is the same everywhere, or wrong but steady, is perfect here: read these figures
beside those against labels. In a video without motion they say how much a prediction flickers.

Source: Lai et al., Learning Blind Video Temporal Consistency (warping error where flow leads there and back).
"""

from __future__ import annotations

import numpy as np

from udpdiff.measures.optical_flow import FollowedFlow, sample


def entity_flow_iou(entity_ids: np.ndarray, motion: FollowedFlow, *, min_pixels: int = 1) -> float:
    """Return how well entities, carried along the flow, lie on themselves one frame later: the mean of their IoUs.

    Pixels of all steps from frame to frame count together. A pixel that is carried into none, or comes from none, costs.

    Args:
        entity_ids: Integers (T, H, W), 0 = none.
        motion: Of the video, with as many frames.
        min_pixels: Entities with fewer pixels, carried and found together, do not count.

    Returns:
        In [0, 1]; nan where no entity is left, which holds for T = 1.

    Raises:
        ValueError: The motion is of other frames.
    """
    _check(entity_ids, motion)
    ids = np.unique(entity_ids)
    counts = np.zeros((len(ids), len(ids)), np.int64)
    for step, (trusted, places) in enumerate(motion.steps()):
        rows, columns = np.rint(places).astype(np.intp)
        before = np.searchsorted(ids, entity_ids[step][trusted])
        after = np.searchsorted(ids, entity_ids[step + 1][rows, columns])
        counts += np.bincount(before * len(ids) + after, minlength=counts.size).reshape(counts.shape)
    common = np.diagonal(counts)
    union = counts.sum(0) + counts.sum(1) - common
    counted = (ids != 0) & (union >= max(1, min_pixels))
    return float((common[counted] / union[counted]).mean()) if counted.any() else float("nan")


def depth_flow_error(depth: np.ndarray, motion: FollowedFlow) -> float:
    """Return how much depth changes along the flow: mean absolute difference, pixel by pixel, then step by step.

    True depth changes too where something comes closer, so 0 is right for no moving video. The scale of depth matters.

    Args:
        depth: Float (T, H, W), in any unit.
        motion: Of the video, with as many frames.

    Returns:
        In the unit of depth, per frame; nan where nothing can be followed, which holds for T = 1.

    Raises:
        ValueError: The motion is of other frames, or a depth is not finite.
    """
    _check(depth, motion)
    if not np.isfinite(depth).all():
        raise ValueError(
            "Depth along the flow: got values that are not finite, expected numbers; check the prediction."
        )
    errors = []
    for step, (trusted, places) in enumerate(motion.steps()):
        if trusted.any():
            errors.append(np.abs(sample(depth[step + 1], places) - depth[step][trusted]).mean())
    return float(np.mean(errors)) if errors else float("nan")


def _check(prediction: np.ndarray, motion: FollowedFlow) -> None:
    shape = motion.trusted.shape
    if prediction.ndim != 3 or prediction.shape != (shape[0] + 1, *shape[1:]):
        raise ValueError(
            f"Along the flow: got a prediction {prediction.shape} and flow between {shape[0] + 1} frames of {shape[1:]}, "
            "expected the same frames; decode the video that the prediction is of."
        )
