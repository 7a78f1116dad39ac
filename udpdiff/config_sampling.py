"""The configuration's section about sampling; `config` is what it belongs to."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from udpdiff.config_labels import Count, Dtype, Positive, Section

Acceleration = Literal["first_block_cache", "faster_cache", "mag_cache"]


class Sampling(Section):
    """shard_prompts: prompts of one job. codec: how generated videos are stored, lossless or as the clips are.

    offload: of the networks only the one that computes is on the GPU.
    acceleration_threshold: of the first-block and magnitude caches; null for diffusers' own.
    """

    prompts: Positive
    shard_prompts: Positive
    codec: Literal["lossless", "h264"]
    caption: Literal["brief", "detailed"]
    num_inference_steps: Positive
    guidance_scale: Annotated[float, Field(ge=1)]
    seed: Count
    batch_size: Positive
    dtype: Dtype
    offload: bool
    acceleration: Acceleration | None
    acceleration_threshold: Annotated[float, Field(gt=0)] | None
