"""The next batch while the present one trains: one thread by default, worker processes when asked for.

The order is that of the steps, whoever prepares the batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch.utils.data import DataLoader, Dataset

from udpdiff.background import in_background
from udpdiff.storage.dataset import LatentSource
from udpdiff.training.batch import BatchPlan, TrainingBatch

_AHEAD = 2  # batches prepared in advance, per worker


class StepBatches(Dataset):
    """Step number -> this process's part of the step's batch."""

    def __init__(
        self, plan: BatchPlan, source: LatentSource, process: int = 0, processes: int = 1, frame_multiple: int = 1
    ) -> None:
        if plan.batch_size % processes:
            raise ValueError(
                f"batch_size: got {plan.batch_size}, expected a multiple of the {processes} processes that share it."
            )
        size = plan.batch_size // processes
        self.plan, self.source, self.frame_multiple = plan, source, frame_multiple
        self._part = slice(process * size, (process + 1) * size)

    def __getitem__(self, step: int) -> TrainingBatch:
        return TrainingBatch.read(self.source, self.plan.draws(step)[self._part], self.frame_multiple)


@contextmanager
def prefetched(batches: StepBatches, steps: range, num_workers: int = 0) -> Iterator[Iterator[TrainingBatch]]:
    """Give an iterator over the batches of `steps`, in order, prepared ahead; stops preparing on exit.

    An error while preparing a batch is raised where that batch is taken.
    """
    if num_workers == 0:
        with in_background(((step, partial(batches.__getitem__, step)) for step in steps), _AHEAD) as prepared:
            yield (batch.result() for _, batch in prepared)
        return
    loader = DataLoader(
        batches,
        sampler=steps,
        batch_size=None,
        num_workers=num_workers,
        prefetch_factor=_AHEAD,
        worker_init_fn=_start_worker,
    )
    iterator = iter(loader)
    try:
        yield iterator
    finally:
        iterator._shutdown_workers()


def _start_worker(worker: int) -> None:
    torch.set_num_threads(1)
