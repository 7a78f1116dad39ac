"""A few optimizer steps on random latents of a run's size: how long one takes, and how much memory.

The step is the trainer's own; what it lacks is reading data, validation and checkpoints.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass, replace

import torch
from diffusers import CogVideoXTransformer3DModel

from udpdiff.model.base_parts import base_folder, load_scheduler
from udpdiff.training.data import TrainingBatch
from udpdiff.training.network import run_streams, starting_transformer
from udpdiff.training.processes import start_processes
from udpdiff.training.settings import TrainingSettings
from udpdiff.training.step import Stepper

Shape = tuple[int, int, int, int]


@dataclass(frozen=True)
class Trial:
    """What steps took.

    Attributes:
        seconds: Of one step, the median without the first.
        peak_bytes: That torch has reserved on the GPU; without one, resident memory of the process.
    """

    seconds: float
    peak_bytes: float


class OutOfMemory(MemoryError):
    """The step does not fit."""


def try_steps(settings: TrainingSettings, latent_shape: Shape, batch: int, steps: int = 3, cpu: bool = False) -> Trial:
    """Do a few steps of so many samples in this process, from the base's own weights.

    Args:
        settings: Of the run.
        latent_shape: F, C, h and w of one stream of a clip.
        batch: Samples of a step, all at once.
        steps: That are timed.

    Raises:
        OutOfMemory: On the GPU or on the host.
    """
    settings = replace(settings, batch_size=batch, gradient_accumulation_steps=1)
    accelerator = start_processes(settings.mixed_precision, cpu)
    folder = base_folder(settings.base)
    try:
        transformer = starting_transformer(settings, folder, accelerator.device)
        streams = run_streams(settings, transformer)
        stepper = Stepper(settings, transformer, load_scheduler(folder), streams, accelerator)
        drawn = random_batch(transformer, latent_shape, len(streams), batch, bool(settings.tasks))
        seconds = [_timed_step(stepper, drawn) for _ in range(steps + 1)]
    except (MemoryError, RuntimeError) as error:
        if not _is_memory(error):
            raise
        raise OutOfMemory(str(error).splitlines()[0]) from None
    return Trial(statistics.median(seconds[1:]), _peak_bytes(accelerator.device))


def random_batch(
    transformer: CogVideoXTransformer3DModel, latent_shape: Shape, streams: int, batch: int, has_tasks: bool
) -> TrainingBatch:
    """Return a batch of noise in the shape of a run's, `latent_shape` as in `try_steps`."""
    config = transformer.config
    frames, channels, height, width = latent_shape
    frames += -frames % (config.patch_size_t or 1)
    shape = (batch, frames, streams * channels, height, width)
    return TrainingBatch(
        latents=torch.randn(shape),
        noise=torch.randn(shape),
        prompt_embeds=torch.randn(batch, config.max_text_seq_length, config.text_embed_dim),
        timesteps=torch.full((batch, streams), 500),
        task_ids=torch.zeros(batch, dtype=torch.long) if has_tasks else None,
    )


def _timed_step(stepper: Stepper, batch: TrainingBatch) -> float:
    device = stepper.accelerator.device
    start = time.perf_counter()
    stepper.step(batch)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _is_memory(error: Exception) -> bool:
    words = str(error).lower()
    known = ("out of memory", "can't allocate memory", "not enough memory", "storage size calculation overflowed")
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(word in words for word in known)


def _peak_bytes(device: torch.device) -> float:
    if device.type == "cuda":
        return float(torch.cuda.max_memory_reserved(device))
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
