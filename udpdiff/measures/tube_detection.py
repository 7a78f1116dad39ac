"""Precision and recall of labelled entities: which of them are true ones, and which true ones were found.

Knows entity_ids (T, H, W) only, 0 = none. A labelled and a true entity are the same when their tubes, all their pixels
over the whole clip, overlap with an IoU above the threshold.

Source: Everingham et al., The Pascal Visual Object Classes Challenge (a hit is an IoU above 0.5); tubes as in Kim et
al., Video Panoptic Segmentation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from udpdiff.measures.segmentation import overlap


@dataclass(frozen=True)
class TubeDetection:
    """precision = matched / (matched + spurious), recall = matched / (matched + missed); nan where nothing counts."""

    matched: int
    spurious: int
    missed: int

    @property
    def precision(self) -> float:
        labelled = self.matched + self.spurious
        return self.matched / labelled if labelled else float("nan")

    @property
    def recall(self) -> float:
        true = self.matched + self.missed
        return self.matched / true if true else float("nan")


def tube_detection(
    predicted: np.ndarray, truth: np.ndarray, *, threshold: float = 0.5, min_pixels: int = 1
) -> TubeDetection:
    """Count hits of entity_ids predicted (T, H, W) on truth (T, H, W), integers, 0 = none.

    threshold: a hit is an IoU above it; at least 0.5, so that no entity can have two partners. min_pixels: a true
    entity with fewer pixels in the clip is neither found nor missed, and its partner neither right nor spurious.
    Raises ValueError for a lower threshold or arrays that do not fit.
    """
    if not 0.5 <= threshold < 1:
        raise ValueError(f"Tube detection: got threshold {threshold}, expected 0.5 or more and less than 1.")
    table = overlap(predicted, truth)
    rows, columns = table.predicted_ids != 0, table.true_ids != 0
    hits = table.iou[np.ix_(rows, columns)] > threshold
    counted = table.counts.sum(0)[columns] >= min_pixels
    found = hits[:, counted]
    return TubeDetection(
        matched=int(found.sum()), spurious=int((~hits.any(1)).sum()), missed=int((~found.any(0)).sum())
    )
