"""Tube IoU and panoptic quality of a clip's entities against a reference; which id an entity has does not matter.

Knows entity_ids (T, H, W) only: 0 is no entity, other values name entities. An entity's tube is all its pixels over the
whole clip, so an id that changes hands midway costs score. `boundary` has J and F.

Source: Kim et al., Video Panoptic Segmentation (tube PQ); Kirillov et al., Panoptic Segmentation (PQ).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TubeIoU:
    """mean: mean IoU of the true entities counted; per_entity: their IoUs by id; match: true id -> predicted id."""

    mean: float
    per_entity: dict[int, float]
    match: dict[int, int]


@dataclass(frozen=True)
class PanopticQuality:
    """quality = segmentation * recognition; counts of matched, spurious and missed segments."""

    quality: float
    segmentation: float
    recognition: float
    matched: int
    spurious: int
    missed: int


@dataclass(frozen=True)
class Overlap:
    """Pixels in common: counts int64 (P, G) of predicted ids (P,) by true ids (G,), with both ids' pixels off void.

    predicted_void int64 (P,): pixels of a prediction that lie on void.
    """

    predicted_ids: np.ndarray
    true_ids: np.ndarray
    counts: np.ndarray
    predicted_void: np.ndarray

    @property
    def iou(self) -> np.ndarray:
        """float64 (P, G), void left out."""
        union = self.counts.sum(1, keepdims=True) + self.counts.sum(0, keepdims=True) - self.counts
        return self.counts / np.maximum(union, 1)


def overlap(predicted: np.ndarray, truth: np.ndarray, void: int | None = None) -> Overlap:
    """Count the pixels that each pair of ids shares, 0 included; pixels where truth is `void` count for nothing."""
    predicted_ids, true_ids, frames = frame_overlaps(predicted, truth)
    counts = np.zeros((len(predicted_ids), len(true_ids)), np.int64)
    for frame in frames:
        counts += frame
    ignored = true_ids == void if void is not None else np.zeros(len(true_ids), bool)
    return Overlap(predicted_ids, true_ids[~ignored], counts[:, ~ignored], counts[:, ignored].sum(1))


def frame_overlaps(predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, Iterator[np.ndarray]]:
    """Return predicted ids (P,), true ids (G,), 0 included, and frame by frame how many pixels each pair shares.

    Args:
        predicted: Integers (T, H, W).
        truth: The same shape.

    Returns:
        Both ids ascending, and int64 (P, G) for every frame.

    Raises:
        ValueError: The shapes differ, or an array is not of integers.
    """
    predicted, truth = _checked(predicted, truth)
    predicted_ids, true_ids = np.unique(predicted), np.unique(truth)
    shape = len(predicted_ids), len(true_ids)

    def frames():
        for found, true in zip(predicted, truth, strict=True):
            pairs = np.searchsorted(predicted_ids, found) * shape[1] + np.searchsorted(true_ids, true)
            yield np.bincount(pairs.ravel(), minlength=shape[0] * shape[1]).reshape(shape)

    return predicted_ids, true_ids, frames()


def entity_boxes(entity_ids: np.ndarray) -> dict[int, tuple[slice, slice]]:
    """Return the rows and columns that each id of one frame (H, W) takes, 0 included."""
    from scipy.ndimage import find_objects

    ids = np.unique(entity_ids)
    return dict(zip(ids.tolist(), find_objects(np.searchsorted(ids, entity_ids) + 1), strict=True))


def tube_mean_iou(predicted: np.ndarray, truth: np.ndarray, *, min_pixels: int = 1, void: int | None = None) -> TubeIoU:
    """Mean IoU of whole tubes after one-to-one matching that maximises it; unmatched true entities count 0.

    predicted, truth: integer (T, H, W), 0 = none. min_pixels: true entities with fewer pixels in the clip take part in
    the matching but not in the mean (12 in this project's quality figures, where smaller ones are a few stray pixels).
    The mean is nan when no entity is left.
    """
    from scipy.optimize import linear_sum_assignment

    table = overlap(predicted, truth, void)
    rows, columns = np.flatnonzero(table.predicted_ids != 0), np.flatnonzero(table.true_ids != 0)
    iou = table.iou[np.ix_(rows, columns)]
    values = np.zeros(len(columns))
    match = {}
    for row, column in zip(*linear_sum_assignment(-iou), strict=True):
        if iou[row, column] > 0:
            values[column] = iou[row, column]
            match[int(table.true_ids[columns[column]])] = int(table.predicted_ids[rows[row]])
    pixels = table.counts.sum(0)[columns]
    per_entity = {
        int(table.true_ids[column]): float(value)
        for column, value, count in zip(columns, values, pixels, strict=True)
        if count >= min_pixels
    }
    return TubeIoU(float(np.mean(list(per_entity.values()))) if per_entity else float("nan"), per_entity, match)


def tube_panoptic_quality(predicted: np.ndarray, truth: np.ndarray, void: int | None = None) -> PanopticQuality:
    """Panoptic quality of entity tubes over the whole clip, integers (T, H, W); 0 = none is no segment."""
    table = overlap(predicted, truth, void)
    rows, columns = table.predicted_ids != 0, table.true_ids != 0
    iou = table.iou[np.ix_(rows, columns)]
    # IoU above one half cannot hold for two partners, so no assignment is needed.
    pairs = iou > 0.5
    matched, missed = int(pairs.sum()), int((~pairs.any(0)).sum())
    seen, hidden = table.counts[rows].sum(1), table.predicted_void[rows]
    spurious = int((~pairs.any(1) & (hidden <= (seen + hidden) / 2)).sum())
    denominator = matched + spurious / 2 + missed / 2
    segmentation = float(iou[pairs].sum() / matched) if matched else 0.0
    recognition = float(matched / denominator) if denominator else 0.0
    return PanopticQuality(segmentation * recognition, segmentation, recognition, matched, spurious, missed)


def _checked(predicted, truth):
    predicted, truth = np.asarray(predicted), np.asarray(truth)
    if predicted.shape != truth.shape:
        raise ValueError(f"Entity ids: got shapes {predicted.shape} and {truth.shape}, expected the same for both.")
    if predicted.dtype.kind not in "iu" or truth.dtype.kind not in "iu":
        raise ValueError(f"Entity ids: got dtypes {predicted.dtype} and {truth.dtype}, expected integers.")
    return predicted, truth
