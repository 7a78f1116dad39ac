"""The trainings that `training` sets against each other: this project's step, and a plain loop around the same model.

Plain: diffusers' model, fused AdamW, autocast, gradient checkpointing, clipping; no log, no checks, no average. Samples
are random numbers of the right shapes that lie on the device, so that no disk is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from diffusers import CogVideoXDDIMScheduler, CogVideoXTransformer3DModel

from benchmarks import shapes
from udpdiff.checkpoints import resolve
from udpdiff.model.base_parts import load_scheduler
from udpdiff.model.loading import rotary_embedding
from udpdiff.model.lora import add_lora
from udpdiff.model.streams import Streams
from udpdiff.training.data import TrainingBatch
from udpdiff.training.network import DTYPES
from udpdiff.training.settings import TrainingSettings
from udpdiff.training.step import Stepper, predict
from udpdiff.training.trial import random_batch

Step = Callable[[], object]


@dataclass(frozen=True)
class Recipe:
    """How all contenders train. rank: of low-rank updates; None for full fine-tuning."""

    shape: shapes.Shape
    device: str
    rank: int | None
    batch_size: int
    mixed_precision: str = "bf16"
    gradient_checkpointing: bool = True


def stepper(recipe: Recipe) -> Step:
    """Return one step of this project's trainer on the widened model, after building it."""
    settings = TrainingSettings(
        run="benchmark",
        base=recipe.shape.base,
        seed=0,
        tasks={"seg": 0.5, "depth": 0.5},
        steps=10**6,
        batch_size=recipe.batch_size,
        learning_rate=1e-5,
        mixed_precision=recipe.mixed_precision,
        lora_rank=recipe.rank,
        gradient_checkpointing=recipe.gradient_checkpointing,
    )
    transformer = network(recipe, widened=True)
    streams = Streams.in_turn(tuple(settings.tasks), transformer.config.in_channels // 2)
    accelerator = Accelerator(mixed_precision=recipe.mixed_precision, cpu=recipe.device == "cpu")
    trainer = Stepper(settings, transformer, _scheduler(), streams, accelerator)
    batch = _batch(recipe, transformer)
    return lambda: trainer.step(batch)


def plain_loop(recipe: Recipe, widened: bool) -> Step:
    """Return one step of the plain loop, after building it; widened: on this project's model in place of the base."""
    transformer = network(recipe, widened)
    if recipe.gradient_checkpointing:
        transformer.enable_gradient_checkpointing()
    trained = [parameter for parameter in transformer.train().parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, fused=True)
    scheduler, batch = _scheduler(), _batch(recipe, transformer)
    rotary = rotary_embedding(transformer, batch.latents)
    dtype, times = DTYPES[recipe.mixed_precision], batch.timesteps[:, 0]

    def step() -> None:
        noisy = scheduler.add_noise(batch.latents, batch.noise, times)
        with torch.autocast(recipe.device.split(":")[0], dtype, enabled=dtype != torch.float32):
            output = predict(transformer, noisy, batch, rotary)
        target = scheduler.get_velocity(batch.latents, batch.noise, times)
        torch.nn.functional.mse_loss(output.float(), target).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def network(recipe: Recipe, widened: bool) -> CogVideoXTransformer3DModel:
    """Return the model with float32 weights, or with frozen ones in the precision of the step and low-rank updates."""
    if widened:
        transformer = shapes.widened_transformer(recipe.shape, 2, recipe.device, "float32")
    else:
        transformer = shapes.base_transformer(recipe.shape, recipe.device, "float32")
    if recipe.rank:
        add_lora(transformer, recipe.rank)
        _shrink(transformer.parameters(), DTYPES[recipe.mixed_precision])
    return transformer


def _batch(recipe: Recipe, transformer: CogVideoXTransformer3DModel) -> TrainingBatch:
    """Return samples of the shape's clips, for the streams that the transformer has, on the device."""
    channels, frames, height, width = recipe.shape.latents
    streams = getattr(transformer.config, "num_streams", 1)
    batch = random_batch(transformer, (frames, channels, height, width), streams, recipe.batch_size, streams > 1)
    return batch.to(torch.device(recipe.device))


def _scheduler() -> CogVideoXDDIMScheduler:
    return load_scheduler(resolve(shapes.MINI))


def _shrink(parameters: Iterable[torch.nn.Parameter], dtype: torch.dtype) -> None:
    for parameter in parameters:
        if not parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)
