"""Validation loss on a few clips, always with the same captions, timesteps and noise, so that its curve is smooth."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from udpdiff.model.streams import Streams
from udpdiff.storage.dataset import LatentSource
from udpdiff.training.data import Clips, SampleDraw, TrainingBatch, draw_seeds
from udpdiff.training.log import LossWindow, timestep_bins
from udpdiff.training.step import Stepper

_SEQUENCE = 3  # of random numbers; data.py uses 0 to 2
# Middles of the quarters of the noise schedule.
_TIMESTEP_SHARES = (0.125, 0.375, 0.625, 0.875)


class Validation:
    """Fixed batches and the loss on them; false when there are none.

    Each clip is shown at four timesteps, with its detailed caption. The batches are read at once and kept.

    Args:
        source: Of the clips.
        clips: Ids by task, or under None.
        streams: What a batch holds.
        seed: Of the noise.
        batch_size: Samples at once.
        num_timesteps: Of the noise schedule.
        frame_multiple: See `TrainingBatch.read`.
    """

    def __init__(
        self,
        source: LatentSource,
        clips: Clips,
        streams: Streams,
        seed: int,
        batch_size: int,
        num_timesteps: int,
        frame_multiple: int = 1,
    ) -> None:
        self._batches: list[tuple[str | None, TrainingBatch]] = []
        for task, ids in clips.items():
            draws = [
                _draw(clip_id, task, int(share * num_timesteps), len(streams), [seed, _SEQUENCE, row, column])
                for row, clip_id in enumerate(ids)
                for column, share in enumerate(_TIMESTEP_SHARES)
            ]
            for first in range(0, len(draws), batch_size):
                part = draws[first : first + batch_size]
                self._batches.append((task, TrainingBatch.read(source, part, streams, frame_multiple)))

    def __len__(self) -> int:
        return len(self._batches)

    @torch.no_grad()
    def measure(self, stepper: Stepper) -> dict[str, Any]:
        """Return `loss`, `loss_STREAM`, `loss_task` and `loss_timestep` as a log entry has them.

        Every process measures the same batches: with data parallelism one alone would leave the others waiting.
        """
        window = LossWindow()
        stepper.model.eval()
        for task, batch in self._batches:
            batch = batch.to(stepper.accelerator.device)
            bins = timestep_bins(batch.timesteps[:, 0], stepper.objective.num_timesteps)
            window.add_samples(stepper.losses(batch), bins, [task] * len(batch))
        stepper.model.train()
        return window.entry()


def _draw(clip_id: str, task: str | None, timestep: int, num_streams: int, key: list[int]) -> SampleDraw:
    return SampleDraw(clip_id, task, "detailed", 0.0, timestep, draw_seeds(np.random.default_rng(key), num_streams))
