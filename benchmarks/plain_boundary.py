"""J and F of the DAVIS benchmark word by word: whole masks of the clip, one pair of entities after the other.

What `udpdiff.measures.boundary` is set against, for its values and for its time.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation
from scipy.optimize import linear_sum_assignment


def plain_j_and_f(predicted: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Return J and F of entity_ids (T, H, W), 0 = none, with at least one true entity."""
    true_ids = [entity for entity in np.unique(truth) if entity != 0]
    predicted_ids = [entity for entity in np.unique(predicted) if entity != 0]
    nobody = np.zeros(truth.shape, bool)
    masks = [predicted == entity for entity in predicted_ids]
    masks += [nobody] * max(0, len(true_ids) - len(masks))
    table = np.array([[_frame_iou(mask, truth == entity) for entity in true_ids] for mask in masks])
    rows, columns = linear_sum_assignment(-table.mean(-1))
    pairs = [(masks[row], truth == true_ids[column]) for row, column in zip(rows, columns, strict=True)]
    radius = int(np.ceil(0.008 * np.hypot(*truth.shape[1:])))
    f_values = [[_f(*frames, radius) for frames in zip(*map(_outline, pair), strict=True)] for pair in pairs]
    return float(table[rows, columns].mean()), float(np.mean(f_values))


def _frame_iou(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
    common, union = (predicted & truth).sum((1, 2)), (predicted | truth).sum((1, 2))
    return np.where(union > 0, common / np.maximum(union, 1), 1.0)


def _outline(masks: np.ndarray) -> np.ndarray:
    padded = np.pad(masks, ((0, 0), (0, 1), (0, 1)), mode="edge")
    return (masks ^ padded[:, :-1, 1:]) | (masks ^ padded[:, 1:, :-1]) | (masks ^ padded[:, 1:, 1:])


def _f(predicted: np.ndarray, truth: np.ndarray, radius: int) -> float:
    if not predicted.any() or not truth.any():
        return float(predicted.any() == truth.any())
    rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disk = rows**2 + columns**2 <= radius**2
    precision = predicted[binary_dilation(truth, disk)].sum() / predicted.sum()
    recall = truth[binary_dilation(predicted, disk)].sum() / truth.sum()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0
