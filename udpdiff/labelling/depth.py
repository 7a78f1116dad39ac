"""Depth of whole clips by either estimator, and its steps for a shard."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from udpdiff.config.labels import DepthAnythingEstimator, DepthCrafterEstimator
from udpdiff.labelling.shards import LabelledClip, Steps
from udpdiff.tasks import get_task

Estimate = Callable[[np.ndarray], np.ndarray]
_TASK = get_task("depth")


def load_estimator(
    labeller: DepthAnythingEstimator | DepthCrafterEstimator, device: str | None = None, show_progress: bool = False
) -> Estimate:
    """Load the estimator that a section of a configuration names; its calls draw bars where that is asked for.

    Returns:
        A function from video, uint8 (T, H, W, 3), to depth, float32 (T, H, W) in [0, 1], 1 = nearest.
    """
    if isinstance(labeller, DepthAnythingEstimator):
        from udpdiff.labelling.depth_anything import DepthAnything

        anything = DepthAnything.from_pretrained(labeller.checkpoint, device=device)
        anything.show_progress = show_progress
        return partial(anything.estimate, batch_size=labeller.batch_frames, normalise=labeller.normalise)
    from udpdiff.labelling.depthcrafter import DepthCrafter

    loading = {"model", "checkpoint", "base", "offload"}
    crafter = DepthCrafter.from_pretrained(
        labeller.checkpoint, base=labeller.base, device=device, offload=labeller.offload
    )
    crafter.show_progress = show_progress
    return partial(crafter.estimate, **labeller.model_dump(exclude=loading))


def depth_steps(estimate: Estimate) -> Steps:
    """Return an estimator as `label_shard` takes it; depth is stored as the task stores it."""
    return Steps(prepare=lambda video: video, model=estimate, finish=_stored)


def _stored(depth: np.ndarray) -> LabelledClip:
    return LabelledClip({_TASK.dataset: _TASK.to_storage(depth)}, {})
