"""Validation loss on a few clips, always with the same captions, timesteps and noise, so that its curve is smooth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from udpdiff.storage.dataset import LatentSource
from udpdiff.training.batch import SampleDraw, TrainingBatch
from udpdiff.training.log import LossWindow, timestep_bins
from udpdiff.training.stepping import Stepper

_STREAM = 3  # of random numbers; batch.py uses 0 to 2
# Middles of the quarters of the noise schedule.
_TIMESTEP_SHARES = (0.125, 0.375, 0.625, 0.875)


class Validation:
    """Fixed batches and the loss on them; false when there are none.

    clips: ids by task, None for the base model. Each clip is taken at four timesteps, with its detailed caption. The
    batches are read at once and kept.
    """

    def __init__(
        self,
        source: LatentSource,
        clips: Mapping[str | None, Sequence[str]],
        seed: int,
        batch_size: int,
        num_timesteps: int,
        frame_multiple: int = 1,
    ) -> None:
        self._batches: list[tuple[str | None, TrainingBatch]] = []
        for task, ids in clips.items():
            draws = [
                _draw(clip_id, task, int(share * num_timesteps), [seed, _STREAM, row, column])
                for row, clip_id in enumerate(ids)
                for column, share in enumerate(_TIMESTEP_SHARES)
            ]
            for first in range(0, len(draws), batch_size):
                part = draws[first : first + batch_size]
                self._batches.append((task, TrainingBatch.read(source, part, frame_multiple)))

    def __len__(self) -> int:
        return len(self._batches)

    @torch.no_grad()
    def measure(self, stepper: Stepper) -> dict[str, Any]:
        """Return `loss`, `loss_video`, `loss_dense`, `loss_task` and `loss_timestep` as a log entry has them.

        Every process measures the same batches: with data parallelism one alone would leave the others waiting.
        """
        window = LossWindow()
        stepper.model.eval()
        for task, batch in self._batches:
            batch = batch.to(stepper.accelerator.device)
            bins = timestep_bins(batch.timesteps, stepper.objective.num_timesteps)
            window.add_samples(stepper.predict(batch), bins, [task] * len(batch))
        stepper.model.train()
        return window.entry()


def _draw(clip_id: str, task: str | None, timestep: int, key: list[int]) -> SampleDraw:
    video_seed, dense_seed = (int(seed) for seed in np.random.default_rng(key).integers(2**62, size=2))
    return SampleDraw(clip_id, task, "detailed", 0.0, timestep, video_seed, dense_seed)
