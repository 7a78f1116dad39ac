"""What step s trains on: a pure function of (seed, step), so that resuming is exact and runs can be compared.

Every choice of a sample comes from a generator of its own, seeded by its number in the run, and none of them looks at
the task. Two runs with one seed therefore see the same captions, timesteps and video noise, sample by sample; two runs
over one clip list also the same clips, as long as each has a single task or none.

Knows nothing about files (`storage.dataset`), the loss (`objective`) or devices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import lcm
from typing import TYPE_CHECKING

import numpy as np
import torch

from udpdiff.tasks import get_task

if TYPE_CHECKING:
    from udpdiff.storage.dataset import LatentSource

# Streams of random numbers; the first word after the seed keeps them apart.
_SAMPLE, _CLIP_ORDER, _TASK_ORDER = 0, 1, 2
# Shares are read as fractions with at most this denominator: 0.333 is a third of a thousand, not a third.
_MAX_SHARE_DENOMINATOR = 1000


@dataclass(frozen=True)
class SampleDraw:
    """All choices for one sample. `coloring`: [0, 1), which of the K colourings. `task`: None for the base model."""

    clip_id: str
    task: str | None
    caption: str  # detailed | brief | empty
    coloring: float
    timestep: int
    video_seed: int
    dense_seed: int


class BatchPlan:
    """The draws of every step.

    clips: clip ids by task, or under None for the base model. tasks: share of the samples by task; empty for the base.
    Tasks follow the shares exactly within every block of the shares' common denominator, in random order. Each task
    walks through its clips in seeded permutations, all of them before any again.

    Raises ValueError when a task has no clips.

    Source: UDPDiff, section 4.1 (captions) and table 7 (partition).
    """

    def __init__(
        self,
        clips: Mapping[str | None, Sequence[str]],
        tasks: Mapping[str, float],
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
        self.seed = seed
        self.batch_size = batch_size
        self.num_timesteps = num_timesteps
        self.detailed_share = detailed_share
        self.caption_dropout = caption_dropout

    def draws(self, step: int) -> list[SampleDraw]:
        """Return the `batch_size` draws of a step, steps counting from 0."""
        first = step * self.batch_size
        return [self.draw(number) for number in range(first, first + self.batch_size)]

    def draw(self, number: int) -> SampleDraw:
        """Return the draw of the sample with that number in the run."""
        task_index, turn = self._task(number)
        clips = self._clips[task_index]
        epoch, position = divmod(turn, len(clips))
        rng = np.random.default_rng([self.seed, _SAMPLE, number])
        detailed, dropped, coloring, timestep = rng.random(4)
        video_seed, dense_seed = rng.integers(2**62, size=2)
        caption = "detailed" if detailed < self.detailed_share else "brief"
        return SampleDraw(
            clip_id=clips[_permutation((self.seed, _CLIP_ORDER, task_index, epoch), len(clips))[position]],
            task=self.tasks[task_index],
            caption="empty" if dropped < self.caption_dropout else caption,
            coloring=float(coloring),
            timestep=int(timestep * self.num_timesteps),
            video_seed=int(video_seed),
            dense_seed=int(dense_seed),
        )

    def _task(self, number: int) -> tuple[int, int]:
        """Return the task's index of a sample, and how many samples that task had before it."""
        block, position = divmod(number, len(self._block))
        order = self._block[_permutation((self.seed, _TASK_ORDER, block), len(self._block))]
        task_index = int(order[position])
        before = int(np.count_nonzero(order[:position] == task_index))
        return task_index, block * int(self._per_block[task_index]) + before


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
    """Samples stacked: video channels first, dense channels after them.

    latents, noise: float32 (B, F, C or 2C, h, w). prompt_embeds: float32 (B, L, D). timesteps, task_ids: long (B,);
    task_ids is None for the base model. video_channels: C.
    """

    latents: torch.Tensor
    noise: torch.Tensor
    prompt_embeds: torch.Tensor
    timesteps: torch.Tensor
    task_ids: torch.Tensor | None
    video_channels: int

    def __len__(self) -> int:
        return len(self.timesteps)

    def to(self, device: torch.device) -> TrainingBatch:
        """Return the batch on a device."""
        return TrainingBatch(*(v.to(device) if torch.is_tensor(v) else v for v in vars(self).values()))

    def __getitem__(self, part: slice) -> TrainingBatch:
        return TrainingBatch(*(v[part] if torch.is_tensor(v) else v for v in vars(self).values()))

    @classmethod
    def read(cls, source: LatentSource, draws: Sequence[SampleDraw], frame_multiple: int = 1) -> TrainingBatch:
        """Read the clips of the draws and draw their noise; F is padded in front to a multiple of `frame_multiple`."""
        examples = [source.read(draw.clip_id, draw.task, draw.caption, draw.coloring) for draw in draws]
        halves = [_stack([example.video_latents for example in examples], frame_multiple)]
        noise = [_noise([draw.video_seed for draw in draws], halves[0].shape[1:])]
        tasks = [draw.task for draw in draws]
        if tasks[0] is not None:
            halves.append(_stack([example.dense_latents for example in examples], frame_multiple))
            noise.append(_noise([draw.dense_seed for draw in draws], halves[1].shape[1:]))
        return cls(
            latents=torch.cat(halves, dim=2),
            noise=torch.cat(noise, dim=2),
            prompt_embeds=torch.stack([example.prompt_embeds for example in examples]),
            timesteps=torch.tensor([draw.timestep for draw in draws]),
            task_ids=None if tasks[0] is None else torch.tensor([get_task(task).id for task in tasks]),
            video_channels=halves[0].shape[2],
        )


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
