"""Checks of what a sampling call asks for, made before any model runs; each error says got, expected, remedy."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXDPMScheduler


def check_channels(transformer_config: Any, vae_config: Any) -> None:
    """Raise ValueError unless the transformer takes and gives video and dense latents of this VAE."""
    expected = 2 * vae_config.latent_channels
    got = (transformer_config.in_channels, transformer_config.out_channels)
    if got != (expected, expected):
        raise ValueError(
            f"Got a transformer with {got[0]} input and {got[1]} output channels, expected {expected} of both: twice"
            f" the VAE's {vae_config.latent_channels}. Widen a CogVideoX base with"
            " udpdiff.model.expansion.expand_transformer."
        )


def check_size(height: int, width: int, num_frames: int, pixel_multiple: int, frame_multiple: int) -> None:
    """Raise ValueError for a size the model cannot tile, where diffusers would crash late or return fewer frames."""
    if height % pixel_multiple or width % pixel_multiple:
        raise ValueError(
            f"Got height {height} and width {width}, expected multiples of {pixel_multiple} (VAE factor times patch"
            f" size). The nearest below are {height - height % pixel_multiple} and {width - width % pixel_multiple}."
        )
    if (num_frames - 1) % frame_multiple:
        nearest = num_frames - (num_frames - 1) % frame_multiple
        raise ValueError(
            f"Got num_frames {num_frames}, expected one more than a multiple of {frame_multiple}. The nearest below is"
            f" {nearest}."
        )


def check_steps(scheduler: Any, num_inference_steps: int) -> None:
    """Raise ValueError when CogVideoX's schedulers would step to other timesteps than they announce.

    They take the previous timestep as t - T // N, whatever the list they made: right only when the list has
    that very stride, as with `trailing` spacing and N dividing T. Otherwise every step lands on a wrong noise
    level, silently.

    Source: diffusers, schedulers/scheduling_ddim_cogvideox.py (0.42), `step`; its pull request 13125.
    """
    if not isinstance(scheduler, (CogVideoXDDIMScheduler, CogVideoXDPMScheduler)):
        return
    total = scheduler.config.num_train_timesteps
    if not 0 < num_inference_steps <= total:
        raise ValueError(f"Got num_inference_steps {num_inference_steps}, expected 1 to {total}.")
    scheduler.set_timesteps(num_inference_steps)
    strides = torch.diff(scheduler.timesteps)
    if total % num_inference_steps or not torch.all(strides == -(total // num_inference_steps)):
        divisors = [steps for steps in range(1, min(total, 200) + 1) if total % steps == 0]
        raise ValueError(
            f"Got num_inference_steps {num_inference_steps} with timestep_spacing"
            f" {scheduler.config.timestep_spacing!r}, expected a divisor of {total} such as {divisors} with 'trailing'."
            " Choose such a number, and set the spacing with pipeline.scheduler ="
            " type(pipeline.scheduler).from_config(pipeline.scheduler.config, timestep_spacing='trailing')."
        )
