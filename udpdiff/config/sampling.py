"""The configuration's section about sampling; `config` is what it belongs to."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from udpdiff.config_values import Batch, Dtype, Positive, Section, Seed, real, whole

Acceleration = Literal["first_block_cache", "faster_cache", "mag_cache"]


class Sampling(Section):
    """prompts: as `clips.evaluation`. shard_prompts: of one job. codec: how generated videos are stored, lossless or as the clips are.

    offload: of the networks only the one that computes is on the GPU.
    acceleration_threshold: of the first-block and magnitude caches; null for diffusers' own.
    """

    prompts: whole(2, 10_000_000)
    shard_prompts: Positive
    codec: Literal["lossless", "h264"]
    caption: Literal["brief", "detailed"]
    num_inference_steps: whole(1, 1000)
    guidance_scale: real(ge=1, le=100)
    seed: Seed
    batch_size: Batch
    dtype: Dtype
    offload: bool
    acceleration: Acceleration | None
    acceleration_threshold: real(gt=0, le=1) | None

    @model_validator(mode="after")
    def _has_a_threshold(self):
        if self.acceleration_threshold is not None and self.acceleration not in ("first_block_cache", "mag_cache"):
            raise ValueError(
                f"acceleration_threshold {self.acceleration_threshold:g} with acceleration {self.acceleration or 'null'}, "
                "which has none; use null, or first_block_cache or mag_cache"
            )
        return self
