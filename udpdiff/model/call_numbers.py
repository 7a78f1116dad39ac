"""Checks of the numbers of a sampling call, which need no network, so that they may come before one is loaded.

Each error says got, expected, remedy.
"""

from __future__ import annotations

from math import isfinite
from numbers import Integral, Real
from typing import Any


def check_whole(**numbers: Any) -> None:
    """Raise ValueError unless all are whole numbers, which a float of that value is not: torch makes no size of it."""
    for name, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise ValueError(f"Got {name} {value!r}, expected a whole number, an int.")


def check_guidance(guidance_scale: float) -> None:
    """Raise ValueError unless it is a finite number from 0 on; up to 1 there is no guidance, as in stock code."""
    if not isinstance(guidance_scale, Real) or not isfinite(guidance_scale) or guidance_scale < 0:
        raise ValueError(
            f"Got guidance_scale {guidance_scale!r}, expected a number above 1, such as 6, or 1 for no guidance."
        )


def check_size(height: int, width: int, num_frames: int, pixel_multiple: int, frame_multiple: int) -> None:
    """Raise ValueError for a size the model cannot tile, where diffusers would crash late or return other frames.

    Of an even number of latents the VAE decodes the first, which stands for one frame, to as many as the others: 5 frames
    come back as 8, all too late by 3.

    Source: zai-org/CogVideo, issue 786 and README ("8N + 1").
    """
    check_whole(height=height, width=width, num_frames=num_frames)
    if min(height, width, num_frames) < 1:
        raise ValueError(f"Got height {height}, width {width} and num_frames {num_frames}, expected all above 0.")
    if height % pixel_multiple or width % pixel_multiple:
        raise ValueError(
            f"Got height {height} and width {width}, expected multiples of {pixel_multiple} (VAE factor times patch"
            f" size). The nearest below are {height - height % pixel_multiple} and {width - width % pixel_multiple}."
        )
    if (num_frames - 1) % (2 * frame_multiple):
        nearest = num_frames - (num_frames - 1) % (2 * frame_multiple)
        raise ValueError(
            f"Got num_frames {num_frames}, expected one more than a multiple of {2 * frame_multiple}: the VAE decodes other"
            f" numbers of latents to other frames. The nearest below is {nearest}."
        )


def check_step_count(num_inference_steps: int, train_timesteps: int) -> None:
    """Raise ValueError unless there is at least one step of denoising, and no more than timesteps of training."""
    check_whole(num_inference_steps=num_inference_steps)
    if not 0 < num_inference_steps <= train_timesteps:
        raise ValueError(f"Got num_inference_steps {num_inference_steps}, expected 1 to {train_timesteps}.")
