"""Sections of the configuration about the models and how they are trained."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from udpdiff.config_values import Count, Positive, Section, Share, Text, real, whole

Tracker = Literal["tensorboard", "wandb", "trackio"]
InitIn = Literal["zero", "copy", "half", "resample", "orthogonal"]
InitOut = Literal["copy", "resample", "zero", "orthogonal"]


class Model(Section):
    base: Text
    init_in: InitIn
    init_out: InitOut


class TrainingRecipe(Section):
    """What decides a run's weights and its exported form."""

    steps: Positive
    batch_size: whole(1, 65_536)
    learning_rate: real(gt=0, le=1)
    optimizer: Literal["adamw", "adamw_8bit", "muon"]
    warmup_steps: Count
    schedule: Literal["constant", "cosine"]
    weight_decay: real(ge=0, le=10)
    max_grad_norm: real(gt=0, le=1e9)
    ema_decay: real(gt=0, lt=1) | None
    objective: Literal["v", "eps_weighted"]
    detailed_share: Share
    caption_dropout: Share
    mixed_precision: Literal["no", "bf16", "fp16"]
    lora_rank: whole(1, 4096) | None
    export: Literal["pipeline", "transformer"]


class TrainingExecution(Section):
    """How a training is carried out: memory, speed and what is written on the way; the weights are the same.

    sharding: none keeps the whole network in every process; full shards weights, gradients and the optimizer's state over
    all of them. keep_optimizer: of a completed run, to train it longer later. trackers: beside the log that is always written.
    """

    sharding: Literal["none", "full"]
    gradient_checkpointing: bool
    gradient_accumulation_steps: whole(1, 65_536)
    compile: bool
    offload_optimizer: bool
    checkpoint_every_steps: Positive
    log_every_steps: Positive
    validation_every_steps: Positive
    keep_optimizer: bool
    trackers: list[Tracker]


class Training(TrainingRecipe, TrainingExecution):
    @model_validator(mode="after")
    def _can_be_offloaded(self):
        if self.offload_optimizer and self.optimizer != "adamw":
            raise ValueError(f"offload_optimizer true with optimizer {self.optimizer!r}; it is for adamw alone")
        return self

    @model_validator(mode="after")
    def _can_be_sharded(self):
        if self.sharding == "none":
            return self
        if self.optimizer != "adamw":
            raise ValueError(
                f"sharding 'full' with optimizer {self.optimizer!r}, which needs whole matrices; use optimizer adamw, or"
                " sharding none"
            )
        if self.offload_optimizer:
            raise ValueError("sharding 'full' with offload_optimizer: true; its state is shared out already, use false")
        if self.mixed_precision == "fp16":
            raise ValueError("sharding 'full' with mixed_precision 'fp16' has no loss scaling; use bf16")
        return self
