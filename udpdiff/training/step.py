"""One optimizer step: forward, loss, backward, clipping, update; and what must be saved to continue after it.

Knows nothing about files, logs or where batches come from.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers import CogVideoXTransformer3DModel, SchedulerMixin
from torch import nn
from torch.distributed.tensor import DTensor

from udpdiff.model.loading import rotary_embedding
from udpdiff.model.streams import Streams
from udpdiff.training.attention import training_attention
from udpdiff.training.checkpoint import AVERAGE, OPTIMIZER, WEIGHTS, load_part
from udpdiff.training.data import TrainingBatch
from udpdiff.training.network import is_sharded
from udpdiff.training.objective import Objective, SampleLosses
from udpdiff.training.optimizer import build_optimizer, weight_average
from udpdiff.training.optimizer_state import make_state, optimizer_tensors
from udpdiff.training.settings import TrainingSettings

Rotary = tuple[torch.Tensor, torch.Tensor] | None

_TORCH_SEEDS = 2**64
# Of the loss under fp16: a gradient that is infinite even so is so by itself.
_LEAST_SCALE = 1.0


class TrainingDiverged(ArithmeticError):
    """A loss or a gradient is not a finite number."""


@dataclass
class StepLosses(SampleLosses):
    """Losses of all samples of a step, over all processes, in the order of the step's draws, on the CPU.

    Attributes:
        timesteps: Of the video, long (B,).
        task_ids: Long (B,); None where the samples show no single task.
    """

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


def dropout_seed(seed: int, step: int, process: int, processes: int) -> int:
    """Return what a step's random numbers in the network are seeded by, for any seed, in torch's range."""
    return ((seed * 2**32 + step) * processes + process) % _TORCH_SEEDS


def check_fit(batch: TrainingBatch, transformer: CogVideoXTransformer3DModel) -> None:
    """Check that a network takes such latents and prompts.

    Raises:
        ValueError: It does not; the message says which stage read another checkpoint.
    """
    config = transformer.config
    _, _, channels, height, width = batch.latents.shape
    prompt_size = tuple(batch.prompt_embeds.shape[1:])
    expected_size = (config.max_text_seq_length, config.text_embed_dim)
    if channels != config.in_channels:
        raise ValueError(
            f"Got latents of {channels} channels in {batch.timesteps.shape[1]} streams, expected {config.in_channels} in"
            " all. Encode the clips with the VAE of the run's own base checkpoint."
        )
    if height % config.patch_size or width % config.patch_size:
        raise ValueError(
            f"Got latents of {height} x {width}, expected multiples of the transformer's patch size"
            f" {config.patch_size}. Choose another clip height and width."
        )
    if prompt_size != expected_size:
        raise ValueError(
            f"Got prompt embeddings {prompt_size}, expected {expected_size}. Encode the captions with the text encoder of"
            " the run's own base checkpoint."
        )


def count_tokens(transformer: CogVideoXTransformer3DModel, batch: TrainingBatch) -> int:
    """Return how many tokens attend to each other in one sample: its patches and its prompt."""
    config = transformer.config
    frames, _, height, width = batch.latents.shape[1:]
    patches = frames // (config.patch_size_t or 1) * (height // config.patch_size) * (width // config.patch_size)
    return patches + batch.prompt_embeds.shape[1]


def predict(model: nn.Module, noisy_latents: torch.Tensor, batch: TrainingBatch, rotary: Rotary) -> torch.Tensor:
    """Return the network's output for noisy latents (B, F, S * C, h, w), of that shape.

    A network without timesteps per stream gets those of the video, which all streams of a draw share.
    """
    config = getattr(model, "module", model).config
    independent = getattr(config, "independent_timesteps", False)
    return model(
        hidden_states=noisy_latents,
        encoder_hidden_states=batch.prompt_embeds,
        timestep=batch.timesteps if independent else batch.timesteps[:, 0],
        image_rotary_emb=rotary,
        attention_kwargs={"task_ids": batch.task_ids} if getattr(config, "num_tasks", 0) else None,
        return_dict=False,
    )[0]


class Stepper:
    """A network in training, with its optimizer and its average.

    Args:
        settings: Of the run.
        transformer: From `starting_transformer`, on this process's device.
        scheduler: The noise schedule.
        streams: What the transformer's channels are.
        accelerator: Of this process.

    Attributes:
        steps_done: Optimizer steps done.
        grad_norm: Of the last step, before clipping.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        transformer: CogVideoXTransformer3DModel,
        scheduler: SchedulerMixin,
        streams: Streams,
        accelerator: Accelerator,
    ) -> None:
        self.settings, self.transformer, self.accelerator = settings, transformer, accelerator
        self.objective = Objective(scheduler, streams, settings.objective)
        if settings.gradient_checkpointing:
            transformer.enable_gradient_checkpointing()
        transformer.train()
        self.trained = {name: weight for name, weight in transformer.named_parameters() if weight.requires_grad}
        self._optimizer = build_optimizer(self.trained.items(), settings)
        # A sharded network needs no wrapper around it: its shards meet by themselves.
        sharded = is_sharded(transformer)
        self.model = transformer if sharded else accelerator.prepare(transformer)
        self._precision = accelerator.autocast if sharded else contextlib.nullcontext
        self.optimizer = accelerator.prepare(self._optimizer)
        self.average = weight_average(self.trained.values(), settings.ema_decay) if settings.ema_decay else None
        self.steps_done, self.grad_norm = 0, math.nan
        self._rotary: dict[torch.Size, Rotary] = {}

    def step(self, batch: TrainingBatch) -> StepLosses:
        """Do one optimizer step on this process's part of a batch.

        Raises:
            TrainingDiverged: Before the weights change, for a loss or gradient that is not finite; under fp16 an infinite
                gradient is left to the loss scaler, which skips the step and tries a smaller scale, while there is one.
        """
        settings, accelerator = self.settings, self.accelerator
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(settings, self.steps_done)
        # For models with dropout: their masks, too, depend on the step alone.
        torch.manual_seed(
            dropout_seed(settings.seed, self.steps_done, accelerator.process_index, accelerator.num_processes)
        )
        losses = self._backward(batch.to(accelerator.device))
        finite = torch.isfinite(losses.total)
        if not finite.all():
            rows = (~finite).nonzero().flatten().tolist()
            raise TrainingDiverged(f"the loss of samples {rows} of {len(finite)} is not a finite number")
        norm = accelerator.clip_grad_norm_(self.trained.values(), settings.max_grad_norm)
        self.grad_norm = float(norm.full_tensor() if isinstance(norm, DTensor) else norm)
        if not math.isfinite(self.grad_norm):
            self._check_scale()
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.steps_done += 1
        if self.average:
            self.average.step(self.trained.values())
        return losses

    def _check_scale(self) -> None:
        """Raise TrainingDiverged for a gradient that no smaller scale of the loss makes finite."""
        scaler = self.accelerator.scaler
        if scaler is None:
            raise TrainingDiverged(f"the gradient's norm is {self.grad_norm} though the loss is finite")
        if scaler.get_scale() <= _LEAST_SCALE:
            raise TrainingDiverged(
                f"the gradient's norm is {self.grad_norm} at any scale of the loss, with mixed_precision 'fp16', which"
                " overflows; 'bf16' and 'no' do not"
            )

    def weights_are_finite(self) -> bool:
        """Whether all trained weights of this process are, and their averages."""
        weights = [*self.trained.values(), *(self.average.shadow_params if self.average else ())]
        local = (weight.to_local() if isinstance(weight, DTensor) else weight for weight in weights)
        return all([weight.isfinite().all() for weight in local])

    def losses(self, batch: TrainingBatch) -> SampleLosses:
        """Return the losses of a batch that is on the model's device."""
        noisy = self.objective.add_noise(batch.latents, batch.noise, batch.timesteps)
        size = batch.latents.shape[1:]
        if size not in self._rotary:
            self._rotary[size] = rotary_embedding(self.transformer, batch.latents)
        with self._attention(batch), self._precision():
            output = predict(self.model, noisy, batch, self._rotary[size])
        return self.objective.losses(output, batch.latents, batch.noise, batch.timesteps)

    def parts(self) -> dict[str, dict[str, torch.Tensor]]:
        """Return what continuing after this step needs, by part of a checkpoint; the tensors are the live ones."""
        parts = {WEIGHTS: dict(self.trained), OPTIMIZER: optimizer_tensors(self._optimizer, self.trained)}
        if self.average:
            parts[AVERAGE] = dict(zip(self.trained, self.average.shadow_params, strict=True))
        return parts

    def scaler_state(self) -> dict[str, Any] | None:
        """Return the state of the loss scaler, json-able; None without one."""
        return self.accelerator.scaler.state_dict() if self.accelerator.scaler else None

    def restore(self, folder: Path, state: Mapping[str, Any]) -> None:
        """Continue after a checkpoint.

        Args:
            folder: Of the training.
            state: Of the checkpoint, which has been checked.
        """
        self.steps_done = state["step"]
        make_state(self._optimizer, self.trained)
        for part, tensors in self.parts().items():
            load_part(folder, self.steps_done, part, tensors)
        if self.average:
            self.average.optimization_step = self.steps_done
        if self.accelerator.scaler and state["extra"]["scaler"]:
            self.accelerator.scaler.load_state_dict(state["extra"]["scaler"])

    def _attention(self, batch: TrainingBatch) -> contextlib.AbstractContextManager:
        tokens = count_tokens(self.transformer, batch)
        return training_attention(tokens, batch.latents.device, self.settings.mixed_precision)

    def _backward(self, batch: TrainingBatch) -> StepLosses:
        """Accumulate the batch's gradient; return the losses of all processes' samples."""
        size = len(batch) // self.settings.gradient_accumulation_steps
        rows = []
        for first in range(0, len(batch), size):
            last = first + size == len(batch)
            # Shards are summed every time: whole gradients until the last would cost what sharding saves.
            together = last or is_sharded(self.transformer)
            synchronised = contextlib.nullcontext() if together else self.accelerator.no_sync(self.model)
            # Around the backward pass too: gradient checkpointing computes blocks again there, by the same kernel.
            with synchronised, self._attention(batch):
                losses = self.losses(batch[first : first + size])
                self.accelerator.backward(losses.total.sum() / len(batch))
            rows.append(torch.stack(tuple(losses.by_stream.values()), dim=1).detach())
        timesteps = batch.timesteps[:, 0]
        task_ids = torch.zeros_like(timesteps) if batch.task_ids is None else batch.task_ids
        # One transfer between processes and from the device per step, whatever is logged.
        table = torch.cat((torch.cat(rows), torch.stack((timesteps, task_ids), dim=1).float()), dim=1)
        *columns, timesteps, task_ids = self.accelerator.gather(table).cpu().T
        return StepLosses(
            by_stream=dict(zip(losses.by_stream, columns, strict=True)),
            weights=losses.weights,
            timesteps=timesteps.long(),
            task_ids=None if batch.task_ids is None else task_ids.long(),
        )
