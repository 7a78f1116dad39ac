"""Figures of generated depth and entities against a labeller run on the same generated videos, with their controls.

A control says what the figure would be without any link between a video and its dense stream: depths (or entities)
exchanged between videos, and one constant depth map. `..._over_shuffled` and `..._over_constant` are the gains over a
control, paired video by video. Returned in the form that `evaluate` describes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from udpdiff.measures.depth import evaluate_depth_maps
from udpdiff.measures.segmentation import tube_mean_iou, tube_panoptic_quality
from udpdiff.metrics.bootstrap import Estimate, bootstrap_difference, bootstrap_mean
from udpdiff.metrics.evaluate import entry

MIN_ENTITY_PIXELS = 12
MIN_DEPTH = 0.02  # of the clip's range: nearer to 0 (farthest), a ratio of disparities has no meaning
_EXCHANGES = 4


def evaluate_depth(
    predicted: Sequence[np.ndarray],
    reference: Sequence[np.ndarray],
    *,
    labeller: str,
    constant: np.ndarray | None = None,
    comparator: Sequence[np.ndarray] | None = None,
    comparator_name: str = "",
    bootstrap_samples: int = 2000,
    seed: int = 0,
) -> dict[str, dict]:
    """Generated depths (T, H, W) in [0, 1] against those of the labeller (pseudo ground truth), clip by clip.

    `depth_delta1`, `depth_rmse`, `depth_abs_rel`: after one scale and shift per video. `..._unaligned`: as they are,
    which the paper's own figures look like. `depth_delta1_shuffled`: depths exchanged between videos (needs two videos
    or more). `depth_delta1_constant`: one map for all, `constant` (H, W) or (T, H, W), by default the mean reference.
    Videos whose reference is flat nought are left out (see n); where all are, values are null.
    comparator: depths of another estimator on the same videos, reported as `comparator_depth_...` (table 3).
    """
    _check_counts(predicted, reference)
    options = {"resamples": bootstrap_samples, "seed": seed}
    kept = [index for index, depth in enumerate(reference) if (np.asarray(depth) > MIN_DEPTH).any()]
    if not kept:
        return {name: _nothing(labeller) for name in ("depth_delta1", "depth_delta1_shuffled", "depth_delta1_constant")}
    predicted, reference = [predicted[index] for index in kept], [reference[index] for index in kept]
    metrics = _depth_scores("", predicted, reference, labeller, options)
    if len(predicted) > 1:
        shuffled = _exchanged(lambda p, g: _depth_score(p, g).delta1, predicted, reference)
        metrics |= _control("depth_delta1", "shuffled", metrics, shuffled, labeller, options)
    flat = np.mean([depth.mean(0) for depth in reference], axis=0) if constant is None else np.asarray(constant)
    values = [_depth_score(np.broadcast_to(flat, depth.shape), depth).delta1 for depth in reference]
    metrics |= _control("depth_delta1", "constant", metrics, values, labeller, options)
    if comparator is not None:
        comparator = [comparator[index] for index in kept]
        source = f"{comparator_name} against {labeller}"
        metrics |= _depth_scores("comparator_", comparator, reference, source, options)
    return metrics


def evaluate_entities(
    predicted: Sequence[np.ndarray],
    reference: Sequence[np.ndarray],
    *,
    labeller: str,
    bootstrap_samples: int = 2000,
    seed: int = 0,
) -> dict[str, dict]:
    """Decoded entity_ids uint16 (T, H, W) against those of the labeller on the same videos.

    `entity_tube_iou`: mean IoU of tubes over the labeller's entities of at least 12 pixels, matched one to one;
    `entity_tube_iou_shuffled`: entities exchanged between videos; `entity_tube_pq`: panoptic quality. Videos where the
    labeller finds nothing are left out (see n); where it finds nothing in any, values are null.
    """
    _check_counts(predicted, reference)
    kept = [index for index, ids in enumerate(reference) if (np.bincount(ids.ravel())[1:] >= MIN_ENTITY_PIXELS).any()]
    if not kept:
        return {name: _nothing(labeller) for name in ("entity_tube_iou", "entity_tube_pq", "entity_tube_iou_shuffled")}
    predicted, reference = [predicted[index] for index in kept], [reference[index] for index in kept]
    figures = {
        "entity_tube_iou": [_tube_iou(p, g) for p, g in zip(predicted, reference, strict=True)],
        "entity_tube_pq": [tube_panoptic_quality(p, g).quality for p, g in zip(predicted, reference, strict=True)],
    }
    options = {"resamples": bootstrap_samples, "seed": seed}
    metrics = {name: entry(bootstrap_mean(values, **options), labeller, values) for name, values in figures.items()}
    if len(predicted) > 1:
        shuffled = _exchanged(_tube_iou, predicted, reference)
        metrics |= _control("entity_tube_iou", "shuffled", metrics, shuffled, labeller, options)
    return metrics


def _control(name, control, metrics, values, labeller, options) -> dict[str, dict]:
    """A control's own figure, and the gain of the figure `name` over it."""
    gains = np.subtract(metrics[name]["per_video"], values)
    gain = bootstrap_difference(metrics[name]["per_video"], values, **options)
    return {
        f"{name}_{control}": entry(bootstrap_mean(values, **options), labeller, values),
        f"{name}_over_{control}": entry(gain, labeller, gains),
    }


def _depth_scores(prefix, predicted, reference, extractor, options) -> dict[str, dict]:
    metrics = {}
    for alignment, suffix in (("video", ""), ("none", "_unaligned")):
        scores = [_depth_score(p, g, alignment) for p, g in zip(predicted, reference, strict=True)]
        for name in ("delta1", "rmse", "abs_rel"):
            values = [getattr(score, name) for score in scores]
            metrics[f"{prefix}depth_{name}{suffix}"] = entry(bootstrap_mean(values, **options), extractor, values)
    return metrics


def _depth_score(predicted, reference, alignment="video"):
    return evaluate_depth_maps(predicted, reference, alignment=alignment, min_value=MIN_DEPTH)


def _tube_iou(predicted, reference) -> float:
    return tube_mean_iou(predicted, reference, min_pixels=MIN_ENTITY_PIXELS).mean


def _exchanged(score, predicted, reference) -> list[float]:
    """Per reference, the mean score of up to four other videos' predictions (rotations of the list)."""
    shifts = range(1, min(len(predicted), _EXCHANGES + 1))
    count = len(predicted)
    return [
        float(np.mean([score(predicted[(index + shift) % count], reference[index]) for shift in shifts]))
        for index in range(count)
    ]


def _nothing(extractor: str) -> dict:
    return entry(Estimate(math.nan, math.nan, math.nan, 0), extractor)


def _check_counts(predicted, reference):
    if len(predicted) != len(reference) or not len(reference):
        raise ValueError(f"Dense evaluation: got {len(predicted)} predictions and {len(reference)} references.")
