"""One optimizer step: forward, loss, backward, clipping, update; and what must be saved to continue after it.

Knows nothing about files, logs or where batches come from.
"""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator

from udpdiff.training.attention_kernel import training_attention
from udpdiff.training.batch import TrainingBatch
from udpdiff.training.checkpointing import Checkpoint
from udpdiff.training.denoiser import (
    add_lora,
    build_transformer,
    count_tokens,
    load_scheduler,
    load_trained,
    predict,
    rotary_embedding,
)
from udpdiff.training.ema import WeightAverage
from udpdiff.training.objective import Objective, SampleLosses
from udpdiff.training.optimizer import build_optimizer
from udpdiff.training.settings import TrainingSettings


class TrainingDiverged(ArithmeticError):
    """A loss or a gradient is not a finite number."""


@dataclass
class StepLosses:
    """Losses of all samples of a step, over all processes, in the order of the step's draws, on the CPU.

    total, video, dense: float32 (B,); dense is None for the base model. timesteps, task_ids: long (B,).
    """

    total: torch.Tensor
    video: torch.Tensor
    dense: torch.Tensor | None
    timesteps: torch.Tensor
    task_ids: torch.Tensor | None


def learning_rate_at(settings: TrainingSettings, step: int) -> float:
    """Return the learning rate of the optimizer step that follows `step` others: linear warm-up, then the schedule."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    if settings.schedule == "constant":
        return settings.learning_rate
    progress = (step - settings.warmup_steps) / max(settings.steps - settings.warmup_steps, 1)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


class Stepper:
    """The model, its optimizer and its average, taken from `checkpoint` if one is given, else at step 0.

    folder: of the base checkpoint. `step` counts the optimizer steps done.
    """

    def __init__(
        self, settings: TrainingSettings, folder: str, accelerator: Accelerator, checkpoint: Checkpoint | None
    ) -> None:
        self.settings, self.accelerator = settings, accelerator
        self.objective = Objective(load_scheduler(folder), settings.objective, settings.dense_weight)
        self.transformer = build_transformer(settings, folder)
        if settings.lora_rank:
            add_lora(self.transformer, settings.lora_rank)
        if settings.gradient_checkpointing:
            self.transformer.enable_gradient_checkpointing()
        if checkpoint:
            load_trained(self.transformer, checkpoint.weights)
        self.transformer.to(accelerator.device).train()
        self.trained = {name: p for name, p in self.transformer.named_parameters() if p.requires_grad}
        optimizer = build_optimizer(self.trained.items(), settings)
        self.model, self.optimizer = accelerator.prepare(self.transformer, optimizer)
        self.average = WeightAverage(self.trained.items(), settings.ema_decay) if settings.ema_decay else None
        self.step = 0
        if checkpoint:
            self._restore(checkpoint)
        self._rotary: dict[torch.Size, Any] = {}

    def take(self, batch: TrainingBatch) -> StepLosses:
        """Take one optimizer step on this process's part of a batch.

        Raises TrainingDiverged, before the weights change, for a loss or gradient that is not finite; under fp16 an
        infinite gradient is left to the loss scaler, which skips the step.
        """
        settings, accelerator = self.settings, self.accelerator
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(settings, self.step)
        # For models with dropout: their masks, too, depend on the step alone.
        torch.manual_seed((settings.seed * 2**32 + self.step) * accelerator.num_processes + accelerator.process_index)
        losses = self._backward(batch.to(accelerator.device))
        if not torch.isfinite(losses.total).all():
            rows = (~torch.isfinite(losses.total)).nonzero().flatten().tolist()
            raise TrainingDiverged(f"the loss of samples {rows} of {len(losses.total)} is not a finite number")
        self.grad_norm = float(accelerator.clip_grad_norm_(self.trained.values(), settings.max_grad_norm))
        if not math.isfinite(self.grad_norm) and settings.mixed_precision != "fp16":
            raise TrainingDiverged(f"the gradient's norm is {self.grad_norm} though the loss is finite")
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        if self.average:
            self.average.update(self.step)
        return losses

    def predict(self, batch: TrainingBatch) -> SampleLosses:
        """Return the losses of a batch that is on the model's device."""
        noisy = self.objective.add_noise(batch.latents, batch.noise, batch.timesteps)
        size = batch.latents.shape[1:]
        if size not in self._rotary:
            self._rotary[size] = rotary_embedding(self.transformer, batch.latents)
        with training_attention(
            count_tokens(self.transformer, batch), batch.latents.device, self.settings.mixed_precision
        ):
            output = predict(self.model, noisy, batch, self._rotary[size])
        return self.objective.losses(output, batch.latents, batch.noise, batch.timesteps, batch.video_channels)

    def checkpoint(self, fingerprint: str, extra: dict[str, Any]) -> Checkpoint:
        """Return what continuing after this step needs; the tensors are the live ones."""
        scaler = self.accelerator.scaler
        return Checkpoint(
            step=self.step,
            fingerprint=fingerprint,
            weights=dict(self.trained),
            average=self.average.weights if self.average else None,
            optimizer=self.optimizer.state_dict(),
            extra=extra | {"scaler": scaler.state_dict() if scaler else None},
        )

    def _restore(self, checkpoint: Checkpoint) -> None:
        self.step = checkpoint.step
        self.optimizer.load_state_dict(checkpoint.optimizer)
        if self.average:
            self.average.load(checkpoint.average)
        if self.accelerator.scaler and checkpoint.extra["scaler"]:
            self.accelerator.scaler.load_state_dict(checkpoint.extra["scaler"])

    def _backward(self, batch: TrainingBatch) -> StepLosses:
        """Accumulate the batch's gradient; return the losses of all processes' samples."""
        size = len(batch) // self.settings.gradient_accumulation_steps
        rows = []
        for first in range(0, len(batch), size):
            last = first + size == len(batch)
            with contextlib.nullcontext() if last else self.accelerator.no_sync(self.model):
                losses = self.predict(batch[first : first + size])
                self.accelerator.backward(losses.total.sum() / len(batch))
            dense = losses.video if losses.dense is None else losses.dense
            rows.append(torch.stack((losses.total, losses.video, dense), dim=1).detach())
        task_ids = torch.zeros_like(batch.timesteps) if batch.task_ids is None else batch.task_ids
        # One transfer between processes and from the device per step, whatever is logged.
        table = torch.cat((torch.cat(rows), torch.stack((batch.timesteps, task_ids), dim=1).float()), dim=1)
        total, video, dense, timesteps, task_ids = self.accelerator.gather(table).cpu().T
        widened = batch.task_ids is not None
        return StepLosses(
            total, video, dense if widened else None, timesteps.long(), task_ids.long() if widened else None
        )
