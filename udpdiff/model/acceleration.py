"""Sampling in less time: diffusers' caches, which answer some denoising steps from what earlier ones computed.

All of them go through `enable_cache`, which finds the blocks of CogVideoX in ours too, and are emptied after each call
of a pipeline. What they do to the dense stream is measured in `benchmarks/acceleration.py`.

Source: diffusers, hooks/first_block_cache.py, hooks/faster_cache.py and hooks/mag_cache.py (0.42).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from diffusers import FasterCacheConfig, FirstBlockCacheConfig
from diffusers.hooks import HookRegistry, MagCacheConfig

from udpdiff.config.sampling import Acceleration

if TYPE_CHECKING:
    from diffusers import CogVideoXPipeline

MEASURED_PROMPT = "A red ball rolls to the right on a grey floor."  # of calls that calibrate or are timed
_CONTEXT = "cond_uncond"  # that CogVideoXPipeline runs its transformer in
_MAG_CACHE_HOOK = "mag_cache_leader_block_hook"


def accelerate(
    pipeline: CogVideoXPipeline, method: Acceleration, threshold: float | None, options: dict[str, Any]
) -> None:
    """Put a cache into a pipeline's transformer, for calls with these options.

    A first-block cache decides by the mean change over all prompts of a batch; the others skip the same steps whatever
    the prompts are.

    Args:
        method: `mag_cache` calls the pipeline once without a cache, with a fixed prompt and seed, to calibrate itself.
        threshold: Of first_block_cache and mag_cache, above which a step is computed; None for diffusers' own.
        options: Of the calls to come, without prompt and generator; with num_inference_steps.
    """
    own = {} if threshold is None else {"threshold": threshold}
    steps = options["num_inference_steps"]
    if method == "first_block_cache":
        config = FirstBlockCacheConfig(**own)
    elif method == "mag_cache":
        ratios = mag_ratios(pipeline, options)
        config = MagCacheConfig(**own, num_inference_steps=steps, mag_ratios=ratios)
    else:
        config = FasterCacheConfig(
            tensor_format="BFCHW",
            current_timestep_callback=lambda: pipeline.current_timestep,
            attention_weight_callback=lambda _: 0.5,  # diffusers' own, named so that it is not warned of
            # Without guidance there is no half of the batch to leave out.
            is_guidance_distilled=options["guidance_scale"] <= 1,
        )
    pipeline.transformer.enable_cache(config)


def mag_ratios(pipeline: CogVideoXPipeline, options: dict[str, Any]) -> list[float]:
    """Return how much what the blocks add grows from each step to the next, for `MagCacheConfig`, by one call.

    Args:
        options: As in `accelerate`.
    """
    transformer, steps = pipeline.transformer, options["num_inference_steps"]
    ratios: list[float] = []

    def read(_, step: int, __, tensors: dict) -> dict:
        hook = HookRegistry.check_if_exists_or_initialize(transformer.transformer_blocks[0]).get_hook(_MAG_CACHE_HOOK)
        with transformer.cache_context(_CONTEXT):
            ratios[:] = hook.state_manager.get_state().calibration_ratios
        return tensors

    # One step more than there are: after the last one diffusers prints the ratios and forgets them.
    transformer.enable_cache(MagCacheConfig(calibrate=True, num_inference_steps=steps + 1))
    try:
        generator = torch.Generator().manual_seed(0)
        options = options | {"output_type": "latent"}
        pipeline(prompt=MEASURED_PROMPT, generator=generator, callback_on_step_end=read, **options)
    finally:
        transformer.disable_cache()
    return ratios
