"""J and F of the DAVIS benchmark for entity masks: region overlap and boundary accuracy, frame by frame.

Entities are matched once for the whole clip, by the mean over all frames of their overlap, so no ids need agree.

Source: Perazzi et al., A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation; JonathonLuiten/
TrackEval, trackeval/metrics/j_and_f.py (matching for unsupervised tracks).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
    """
    from scipy.optimize import linear_sum_assignment

    if predicted.shape != truth.shape or predicted.ndim != 3:
        raise ValueError(f"Entity ids: got {predicted.shape} and {truth.shape}, expected two arrays (T, H, W).")
    if void is not None:
        predicted = np.where(truth == void, 0, predicted)
        truth = np.where(truth == void, 0, truth)
    true_ids = [value for value in np.unique(truth) if value != 0]
    predicted_ids = [value for value in np.unique(predicted) if value != 0]
    if not true_ids:
        return JAndF(float("nan"), float("nan"), 0)
    overlaps = np.array([[_region(predicted == p, truth == g) for g in true_ids] for p in predicted_ids])
    empty = np.array([[_region(np.zeros_like(truth, bool), truth == g) for g in true_ids]])
    fillers = max(0, len(true_ids) - len(predicted_ids))
    table = np.concatenate([overlaps.reshape(-1, *empty.shape[1:]), empty.repeat(fillers, 0)])
    rows, columns = linear_sum_assignment(-table.mean(-1))
    f_values = []
    for row, column in zip(rows, columns, strict=True):
        mask = predicted == predicted_ids[row] if row < len(predicted_ids) else np.zeros_like(truth, bool)
        f_values.append(boundary_f(mask, truth == true_ids[column]).mean())
    return JAndF(float(table[rows, columns].mean()), float(np.mean(f_values)), len(true_ids))


def _region(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """IoU per frame (T,) of two masks (T, H, W); 1 where both are empty."""
    common, union = (predicted & truth).sum((1, 2)), (predicted | truth).sum((1, 2))
    return np.where(union > 0, common / np.maximum(union, 1), 1.0)


def boundary_f(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """F per frame (T,) of the boundaries of two bool masks (T, H, W), within a disk of 0.8 % of the diagonal."""
    radius = int(np.ceil(BOUNDARY_TOLERANCE * np.hypot(*truth.shape[1:])))
    return np.array([_frame_f(p, g, radius) for p, g in zip(_boundary(predicted), _boundary(truth), strict=True)])


def _boundary(masks: np.ndarray) -> np.ndarray:
    """Pixels that differ from their right, lower or lower right neighbour; the image's edge is no boundary."""
    padded = np.pad(masks, ((0, 0), (0, 1), (0, 1)), mode="edge")
    here = padded[:, :-1, :-1]
    return (here ^ padded[:, :-1, 1:]) | (here ^ padded[:, 1:, :-1]) | (here ^ padded[:, 1:, 1:])


def _frame_f(predicted: np.ndarray, truth: np.ndarray, radius: int) -> float:
    if not predicted.any() or not truth.any():
        return float(predicted.any() == truth.any())
    precision = predicted[_grown(truth, radius)].sum() / predicted.sum()
    recall = truth[_grown(predicted, radius)].sum() / truth.sum()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def _grown(mask: np.ndarray, radius: int) -> np.ndarray:
    from scipy.ndimage import binary_dilation

    steps = np.arange(-radius, radius + 1)
    disk = steps[:, None] ** 2 + steps[None, :] ** 2 <= radius**2
    return binary_dilation(mask, disk)
