"""ID switches: how often the labelled id that covers a true entity changes from frame to frame.

Knows entity_ids (T, H, W) only, 0 = none. Blind to how well an entity is covered: that is what IoU is for.

Source: Bernardin and Stiefelhagen, Evaluating Multiple Object Tracking Performance: The CLEAR MOT Metrics (a switch is
counted against the last id known, however long ago); here an entity's id is the one that covers most of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class IdSwitches:
    """frames: true id -> the frames at which its labelled id is a new one; an entity without switches has none."""

    frames: dict[int, list[int]]

    @property
    def mean(self) -> float:
        """Switches per true entity over the clip; nan without entities."""
        return float(np.mean([len(found) for found in self.frames.values()])) if self.frames else float("nan")


def id_switches(predicted: np.ndarray, truth: np.ndarray, *, min_pixels: int = 1) -> IdSwitches:
    """Switches of every true entity, predicted and truth integer (T, H, W), 0 = none.

    Frames are passed over where the entity shows fewer than min_pixels or has no labelled pixel at all: a label that is
    lost and comes back under its own id is no switch. Of ids that cover equally much, any may be the entity's, so that
    the names of ids do not matter. Entities that show min_pixels in no frame are left out.
    Raises ValueError for arrays of different shapes.
    """
    if predicted.shape != truth.shape or predicted.ndim != 3:
        raise ValueError(f"Entity ids: got {predicted.shape} and {truth.shape}, expected two arrays (T, H, W).")
    frames: dict[int, list[int]] = {}
    held: dict[int, set[int]] = {}
    for frame, (labels, entities) in enumerate(zip(predicted, truth, strict=True)):
        ids, sizes = np.unique(entities, return_counts=True)
        for entity in ids[(ids != 0) & (sizes >= min_pixels)].tolist():
            switches = frames.setdefault(entity, [])
            best = _covering(labels[entities == entity])
            if not best:
                continue
            # The ids that could have been this entity's all along; none left means that it took another one.
            still = held.get(entity, best) & best
            if not still:
                switches.append(frame)
            held[entity] = still or best
    return IdSwitches(frames)


def _covering(labels: np.ndarray) -> set[int]:
    """The ids, 0 apart, that most of these pixels carry."""
    ids, sizes = np.unique(labels[labels != 0], return_counts=True)
    return set(ids[sizes == sizes.max()].tolist()) if len(ids) else set()
