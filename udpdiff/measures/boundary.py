"""J and F of the DAVIS benchmark for entity masks: region overlap and boundary accuracy, frame by frame.

Entities are matched once for the whole clip, by the mean over all frames of their overlap, so no ids need agree.

Source: Perazzi et al., A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation; JonathonLuiten/
TrackEval, trackeval/metrics/j_and_f.py (matching for unsupervised tracks).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from udpdiff.measures.segmentation import entity_boxes, frame_overlaps

BOUNDARY_TOLERANCE = 0.008  # of the image diagonal


@dataclass(frozen=True)
class JAndF:
    """Means over the true entities of one clip, and how many those are (to weight a mean over clips)."""

    j: float
    f: float
    num_entities: int

    @property
    def j_and_f(self) -> float:
        return (self.j + self.f) / 2


def j_and_f(predicted: np.ndarray, truth: np.ndarray, *, void: int | None = None) -> JAndF:
    """J, F of entity_ids predicted (T, H, W) against truth (T, H, W), 0 = none; predictions on void are dropped.

    A true entity without a partner scores 0 where it is seen and 1 where it is not; spurious predictions cost nothing.
    Without true entities both are nan. Overlaps are counted once per frame for all pairs, and an outline is looked for
    and grown in the part of the frame that its entity takes, never in the whole.
    """
    from scipy.optimize import linear_sum_assignment

    if predicted.shape != truth.shape or predicted.ndim != 3:
        raise ValueError(f"Entity ids: got {predicted.shape} and {truth.shape}, expected two arrays (T, H, W).")
    if void is not None:
        predicted = np.where(truth == void, 0, predicted)
        truth = np.where(truth == void, 0, truth)
    predicted_ids, true_ids, overlaps = _overlaps(predicted, truth)
    if not len(true_ids):
        return JAndF(float("nan"), float("nan"), 0)
    rows, columns = linear_sum_assignment(-overlaps.mean(-1))
    pairs = [(predicted_ids[row], true_ids[column]) for row, column in zip(rows, columns, strict=True)]
    radius = _radius(truth.shape[1:])
    frames = zip(predicted, truth, strict=True)
    f_values = np.stack([_frame_f(*frame, pairs, radius) for frame in frames], axis=-1)
    return JAndF(float(overlaps[rows, columns].mean()), float(f_values.mean(-1).mean()), len(true_ids))


def _overlaps(predicted: np.ndarray, truth: np.ndarray) -> tuple[list, list, np.ndarray]:
    """Predicted ids, padded by None up to as many as the true ones; true ids; IoU per frame (P, G, T).

    The IoU is 1 where neither is seen. None is an entity that is nowhere.
    """
    predicted_ids, true_ids, frames = frame_overlaps(predicted, truth)
    counts = np.stack(list(frames), axis=-1)
    rows, columns = predicted_ids != 0, true_ids != 0
    common = counts[np.ix_(rows, columns)]
    missing = max(0, common.shape[1] - len(common))
    common = np.pad(common, ((0, missing), (0, 0), (0, 0)))
    sizes = np.pad(counts[rows].sum(1), ((0, missing), (0, 0)))
    union = sizes[:, None] + counts[:, columns].sum(0) - common
    iou = np.where(union > 0, common / np.maximum(union, 1), 1.0)
    return [*predicted_ids[rows].tolist(), *[None] * missing], true_ids[columns].tolist(), iou


def boundary_f(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """F per frame (T,) of the boundaries of two bool masks (T, H, W), within a disk of 0.8 % of the diagonal."""
    frames = zip(predicted, truth, strict=True)
    radius = _radius(truth.shape[1:])
    return np.array([_frame_f(*(mask.astype(np.uint8) for mask in masks), [(1, 1)], radius)[0] for masks in frames])


def _radius(size: tuple[int, int]) -> int:
    return int(np.ceil(BOUNDARY_TOLERANCE * np.hypot(*size)))


def _frame_f(predicted: np.ndarray, truth: np.ndarray, pairs: Sequence[tuple], radius: int) -> list[float]:
    """F of pairs of ids in one frame of each (H, W)."""
    found, true = _Outlines(predicted, radius), _Outlines(truth, radius)
    return [_f_of_outlines(found.of(p), true.of(g)) for p, g in pairs]


def _f_of_outlines(predicted: _Outline, truth: _Outline) -> float:
    if not predicted.size or not truth.size:
        return float(predicted.size == truth.size)
    precision, recall = truth.count_near(predicted) / predicted.size, predicted.count_near(truth) / truth.size
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


@dataclass(frozen=True)
class _Outline:
    """Boundary pixels of one entity in one frame: rows and columns (N,), and a window of what is near them.

    near: uint8 (h, w), whether a pixel lies within the tolerance of one of them; outside of it none does.
    corner: row and column of the window's first pixel.
    """

    rows: np.ndarray
    columns: np.ndarray
    near: np.ndarray
    corner: tuple[int, int]

    @property
    def size(self) -> int:
        return len(self.rows)

    def count_near(self, other: _Outline) -> int:
        """Return how many pixels of the other outline are near this one."""
        rows, columns = other.rows - self.corner[0], other.columns - self.corner[1]
        height, width = self.near.shape
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        return int(np.count_nonzero(self.near[rows[inside], columns[inside]]))


_NOWHERE = _Outline(np.zeros(0, int), np.zeros(0, int), np.zeros((0, 0), np.uint8), (0, 0))


class _Outlines:
    """The outlines of the entities of one frame (H, W), each looked for in the part that the entity takes."""

    def __init__(self, entity_ids: np.ndarray, radius: int):
        self._entity_ids, self._radius = entity_ids, radius
        steps = np.arange(-radius, radius + 1)
        self._disk = (steps[:, None] ** 2 + steps**2 <= radius**2).astype(np.uint8)
        self._boxes = entity_boxes(entity_ids)

    def of(self, entity: int | None) -> _Outline:
        """Return the pixels that differ from their right, lower or lower right neighbour in being of the entity.

        The image's edge is no boundary.
        """
        import cv2

        if entity not in self._boxes:
            return _NOWHERE
        top, left = (max(0, side.start - 1) for side in self._boxes[entity])
        bottom, right = (side.stop + 1 for side in self._boxes[entity])
        mask = (self._entity_ids[top:bottom, left:right] == entity).view(np.uint8)
        padded = cv2.copyMakeBorder(mask, 0, 1, 0, 1, cv2.BORDER_REPLICATE)
        outline = (mask ^ padded[:-1, 1:]) | (mask ^ padded[1:, :-1]) | (mask ^ padded[1:, 1:])
        rows, columns = np.nonzero(outline)
        reach = self._radius
        near = cv2.dilate(cv2.copyMakeBorder(outline, *[reach] * 4, cv2.BORDER_CONSTANT, value=0), self._disk)
        return _Outline(rows + top, columns + left, near, (top - reach, left - reach))
