"""What step s trains on: a pure function of (seed, step), so that resuming is exact and runs can be compared.

Every choice of a sample comes from a generator of its own, seeded by its number in the run, and none of them looks at
the task. Two runs with one seed therefore see the same captions, timesteps and video noise, sample by sample; two runs
over one clip list also the same clips, as long as each has a single task or none.

Knows nothing about files (`storage.dataset`), the loss (`objective`) or devices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache, partial
from math import lcm

import numpy as np
import torch

from udpdiff.background import in_background
from udpdiff.model.streams import Stream, Streams
from udpdiff.storage.dataset import LatentSource
from udpdiff.storage.digests import digest

Clips = Mapping[str | None, Sequence[str]]  # ids by task, or under None where a sample shows no single task

# Sequences of random numbers; the first word after the seed keeps them apart. Validation has the next.
_SAMPLE, _CLIP_ORDER, _TASK_ORDER = 0, 1, 2
# Shares are read as fractions with at most this denominator: 0.333 is a third of a thousand, not a third.
_MAX_SHARE_DENOMINATOR = 1000
# Never more than this share of the training clips is held back for validation.
_HELD_BACK_SHARE = 0.1
_PREFETCHED_BATCHES = 2


def split_clips(
    source: LatentSource, evaluation: LatentSource | None, tasks: Sequence[str], count: int
) -> tuple[Clips, Clips]:
    """Return the clips to train on and up to `count` to validate on; without evaluation clips some are held back.

    Those to validate on are chosen whatever the tasks, so that no run trains on what another validates on; of them, each
    task has those that it can use.
    """
    checked = evaluation or source
    training, validation = (
        {task: each.clip_ids([task] if task else []) for task in tasks or [None]} for each in (source, checked)
    )
    every = checked.clip_ids()
    aside = set(every[:count]) if evaluation else held_back(set(every), count)
    if not evaluation:
        training = {task: [clip_id for clip_id in ids if clip_id not in aside] for task, ids in training.items()}
    return training, {task: [clip_id for clip_id in ids if clip_id in aside] for task, ids in validation.items()}


def held_back(clip_ids: set[str], count: int) -> set[str]:
    """Choose clips to keep out of training, by their ids alone, so that all runs over the same clips hold back the same."""
    return set(sorted(clip_ids, key=digest)[: min(count, int(_HELD_BACK_SHARE * len(clip_ids)))])


@dataclass(frozen=True)
class SampleDraw:
    """All choices for one sample.

    Attributes:
        clip_id: The clip.
        task: What a dense stream shows that serves several; None where no stream does.
        caption: detailed, brief or empty.
        colouring: [0, 1), which of the K colourings.
        timestep: Of all streams.
        noise_seeds: One per stream.
    """

    clip_id: str
    task: str | None
    caption: str
    colouring: float
    timestep: int
    noise_seeds: tuple[int, ...]


class SampleDraws:
    """The draws of every step.

    Tasks follow their shares exactly within every block of the shares' common denominator, in random order. Each task
    walks through its clips in seeded permutations, all of them before any again.

    Args:
        clips: Ids by task, or under None.
        tasks: Share of the samples by task; empty where no sample shows a single task.
        num_streams: How many noise seeds a draw has.
        seed: 0 or more.
        batch_size: Samples per step.
        num_timesteps: Of the noise schedule.
        detailed_share: Of the captions, the others being brief; those dropped not counted.
        caption_dropout: Share of the samples with an empty caption.

    Raises:
        ValueError: A task has no clips.

    Source: UDPDiff, section 4.1 (captions) and table 7 (partition).
    """

    def __init__(
        self,
        clips: Clips,
        tasks: Mapping[str, float],
        num_streams: int,
        seed: int,
        batch_size: int,
        num_timesteps: int = 1000,
        detailed_share: float = 0.8,
        caption_dropout: float = 0.1,
    ) -> None:
        self.tasks: tuple[str | None, ...] = tuple(tasks) or (None,)
        for task in self.tasks:
            if not clips.get(task):
                raise ValueError(
                    f"Task {task!r} has no clips to train on. Either its labeller rejected every clip (see `rejected`"
                    " in its shards), or its shards do not belong to the video shards."
                )
        self._clips = [list(clips[task]) for task in self.tasks]
        self._block = _task_block(list(tasks.values()) or [1.0])
        self._per_block = np.bincount(self._block, minlength=len(self.tasks))
        self.num_streams, self.seed, self.batch_size = num_streams, seed, batch_size
        self.num_timesteps = num_timesteps
        self.detailed_share, self.caption_dropout = detailed_share, caption_dropout

    def of_step(self, step: int) -> list[SampleDraw]:
        """Return the `batch_size` draws of a step, steps counting from 0."""
        first = step * self.batch_size
        return [self.draw(number) for number in range(first, first + self.batch_size)]

    def draw(self, number: int) -> SampleDraw:
        """Return the draw of the sample with that number in the run."""
        task_index, turn = self._task(number)
        clips = self._clips[task_index]
        epoch, position = divmod(turn, len(clips))
        rng = np.random.default_rng([self.seed, _SAMPLE, number])
        detailed, dropped, colouring, timestep = rng.random(4)
        caption = "detailed" if detailed < self.detailed_share else "brief"
        return SampleDraw(
            clip_id=clips[_permutation((self.seed, _CLIP_ORDER, task_index, epoch), len(clips))[position]],
            task=self.tasks[task_index],
            caption="empty" if dropped < self.caption_dropout else caption,
            colouring=float(colouring),
            timestep=int(timestep * self.num_timesteps),
            noise_seeds=draw_seeds(rng, self.num_streams),
        )

    def _task(self, number: int) -> tuple[int, int]:
        """Return the task's index of a sample, and how many samples that task had before it."""
        block, position = divmod(number, len(self._block))
        order = self._block[_permutation((self.seed, _TASK_ORDER, block), len(self._block))]
        task_index = int(order[position])
        before = int(np.count_nonzero(order[:position] == task_index))
        return task_index, block * int(self._per_block[task_index]) + before


def draw_seeds(rng: np.random.Generator, count: int) -> tuple[int, ...]:
    """Return noise seeds; the first are the same however many follow."""
    return tuple(int(seed) for seed in rng.integers(2**62, size=count))


@lru_cache(maxsize=32)
def _permutation(key: tuple[int, ...], count: int) -> np.ndarray:
    """Return a permutation of 0 ... count - 1, decided by the key."""
    return np.random.default_rng(key).permutation(count)


def _task_block(shares: Sequence[float]) -> np.ndarray:
    """Return the shortest list of task indices that holds each as often as its share says."""
    fractions = [Fraction(share).limit_denominator(_MAX_SHARE_DENOMINATOR) for share in shares]
    total = sum(fractions)
    fractions = [fraction / total for fraction in fractions]
    length = lcm(*(fraction.denominator for fraction in fractions))
    return np.repeat(np.arange(len(shares)), [int(fraction * length) for fraction in fractions])


@dataclass
class TrainingBatch:
    """Samples stacked, their streams side by side.

    Attributes:
        latents: Float32 (B, F, S * C, h, w), of S streams.
        noise: As the latents.
        prompt_embeds: Float32 (B, L, D).
        timesteps: Long (B, S).
        task_ids: Long (B,), which of the model's tasks a sample shows; None where it shows no single task.
    """

    latents: torch.Tensor
    noise: torch.Tensor
    prompt_embeds: torch.Tensor
    timesteps: torch.Tensor
    task_ids: torch.Tensor | None

    def __len__(self) -> int:
        return len(self.timesteps)

    def to(self, device: torch.device) -> TrainingBatch:
        """Return the batch on a device."""
        return TrainingBatch(*(None if value is None else value.to(device) for value in vars(self).values()))

    def __getitem__(self, part: slice) -> TrainingBatch:
        return TrainingBatch(*(None if value is None else value[part] for value in vars(self).values()))

    @classmethod
    def read(
        cls, source: LatentSource, draws: Sequence[SampleDraw], streams: Streams, frame_multiple: int = 1
    ) -> TrainingBatch:
        """Read the clips of some draws and draw their noise; F is padded in front to a multiple of `frame_multiple`."""
        shown = [[_shown_task(stream, draw) for stream in streams.dense] for draw in draws]
        examples = [
            source.read(draw.clip_id, tasks, draw.caption, draw.colouring)
            for draw, tasks in zip(draws, shown, strict=True)
        ]
        latents = {streams.names[0]: _stack([example.video_latents for example in examples], frame_multiple)}
        for row, stream in enumerate(streams.dense):
            dense = [example.dense_latents[tasks[row]] for example, tasks in zip(examples, shown, strict=True)]
            latents[stream.name] = _stack(dense, frame_multiple)
        noise = {
            name: _noise([draw.noise_seeds[row] for draw in draws], latents[name].shape[1:])
            for row, name in enumerate(streams.names)
        }
        served = [task for stream in streams.dense for task in stream.tasks]
        return cls(
            latents=streams.join(latents),
            noise=streams.join(noise),
            prompt_embeds=torch.stack([example.prompt_embeds for example in examples]),
            timesteps=torch.tensor([[draw.timestep] * len(streams) for draw in draws]),
            task_ids=None if draws[0].task is None else torch.tensor([served.index(draw.task) for draw in draws]),
        )


def _shown_task(stream: Stream, draw: SampleDraw) -> str:
    """Return which task a dense stream shows: the draw's if it serves that one, else its only one."""
    if draw.task in stream.tasks:
        return draw.task
    (task,) = stream.tasks
    return task


def _stack(latents: Sequence[torch.Tensor], frame_multiple: int) -> torch.Tensor:
    """Stack to (B, F, C, h, w); CogVideoX 1.5 patches two frames, and its pipeline pads the missing ones in front."""
    stacked = torch.stack(list(latents))
    missing = -stacked.shape[1] % frame_multiple
    return torch.cat((stacked[:, :1].expand(-1, missing, -1, -1, -1), stacked), dim=1) if missing else stacked


def _noise(seeds: Sequence[int], shape: Sequence[int]) -> torch.Tensor:
    """Draw float32 (len(seeds), *shape), each row from a generator of its own."""
    noise = torch.empty(len(seeds), *shape)
    for row, seed in zip(noise, seeds, strict=True):
        torch.randn(shape, generator=torch.Generator().manual_seed(seed), out=row)
    return noise


class StepBatches:
    """Step number -> this process's part of the step's batch.

    Raises:
        ValueError: The batch cannot be shared among so many processes.
    """

    def __init__(
        self,
        draws: SampleDraws,
        source: LatentSource,
        streams: Streams,
        process: int = 0,
        processes: int = 1,
        frame_multiple: int = 1,
    ) -> None:
        if draws.batch_size % processes:
            raise ValueError(
                f"batch_size: got {draws.batch_size}, expected a multiple of the {processes} processes that share it."
            )
        size = draws.batch_size // processes
        self.draws, self._part = draws, slice(process * size, (process + 1) * size)
        self._read = partial(TrainingBatch.read, source, streams=streams, frame_multiple=frame_multiple)

    def read(self, step: int) -> TrainingBatch:
        """Return the part of a step's batch."""
        return self._read(self.draws.of_step(step)[self._part])


@contextmanager
def prefetched(batches: StepBatches, steps: range) -> Iterator[Iterator[TrainingBatch]]:
    """Give an iterator over the batches of `steps`, in order, read in a thread before they are asked for.

    An error while reading a batch is raised where that batch is asked for. On exit, reading stops.
    """
    calls = ((step, partial(batches.read, step)) for step in steps)
    with in_background(calls, _PREFETCHED_BATCHES) as futures:
        yield (batch.result() for _, batch in futures)
