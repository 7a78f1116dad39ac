"""Validation loss on a few clips, always with the same captions, timesteps and noise, so that its curve is smooth.

What a clip is shown with depends on its id and the seed alone: runs of one seed can be compared clip by clip.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from udpdiff.model.streams import Streams
from udpdiff.storage.dataset import LatentSource
from udpdiff.storage.digests import digest
from udpdiff.training.data import Clips, SampleDraw, TrainingBatch, draw_seeds
from udpdiff.training.log import LossWindow, timestep_bins
from udpdiff.training.processes import from_all, position
from udpdiff.training.step import Stepper, TrainingDiverged

_SEQUENCE = 3  # of random numbers; data.py uses 0 to 2
# Middles of the quarters of the noise schedule.
_TIMESTEP_SHARES = (0.125, 0.375, 0.625, 0.875)


class Validation:
    """Fixed batches and the loss on them; false when there are none.

    Each clip is shown at four timesteps, with its detailed caption. The processes share out the batches; each reads its own
    at once and keeps them.

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
        parts = [
            draws[first : first + batch_size]
            for draws in self._draws(clips, len(streams), seed, num_timesteps)
            for first in range(0, len(draws), batch_size)
        ]
        process, processes = position()
        # Every process does as many forward passes, for they wait for each other; what comes again is not counted.
        rounds = -(-len(parts) // processes)
        numbers = range(process, rounds * processes, processes)
        self._counted = [number < len(parts) for number in numbers]
        own = [parts[number % len(parts)] for number in numbers]
        self._batches = [(draws, TrainingBatch.read(source, draws, streams, frame_multiple)) for draws in own]
        self._video = streams.names[0]

    def __len__(self) -> int:
        return len(self._batches)

    @staticmethod
    def _draws(clips: Clips, num_streams: int, seed: int, num_timesteps: int) -> Iterator[list[SampleDraw]]:
        for task, ids in clips.items():
            yield [
                _draw(clip_id, task, int(share * num_timesteps), num_streams, [seed, _SEQUENCE, number, column])
                for clip_id, number in ((clip_id, int(digest(clip_id)[:15], 16)) for clip_id in ids)
                for column, share in enumerate(_TIMESTEP_SHARES)
            ]

    @torch.no_grad()
    def measure(self, stepper: Stepper) -> dict[str, Any]:
        """Return `loss`, `loss_STREAM`, `loss_task`, `loss_timestep` and `loss_video_clip` as a log entry has them.

        All are over all processes.

        Raises:
            TrainingDiverged: The loss is not finite.
        """
        window = LossWindow()
        stepper.model.eval()
        for (draws, batch), counted in zip(self._batches, self._counted, strict=True):
            batch = batch.to(stepper.accelerator.device)
            bins = timestep_bins(batch.timesteps[:, 0], stepper.objective.num_timesteps)
            losses = stepper.losses(batch)
            if counted:
                window.add_samples(losses, bins, [draw.task for draw in draws])
                window.add_clips(losses.by_stream[self._video], [draw.clip_id for draw in draws])
        stepper.model.train()
        joined = LossWindow()
        for sums in from_all(window.sums):
            joined.add_sums(sums)
        entry = joined.entry()
        if not math.isfinite(entry["loss"]):
            raise TrainingDiverged(
                f"the validation loss is {entry['loss']} after step {stepper.steps_done}, which it is not in training:"
                " expected a finite number. Look for infinities in the latents and prompts of the validation clips"
            )
        return entry


def _draw(clip_id: str, task: str | None, timestep: int, num_streams: int, key: list[int]) -> SampleDraw:
    return SampleDraw(clip_id, task, "detailed", 0.0, timestep, draw_seeds(np.random.default_rng(key), num_streams))
