"""The noise schedule of a sampling call: whether it is the one that the model was trained on, and its guidance.

Diffusers lets one scheduler be made from another's configuration, and leaves out what the new class does not know.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXDPMScheduler, DDIMScheduler

from udpdiff.model.call_numbers import check_step_count

_OWN = (CogVideoXDDIMScheduler, CogVideoXDPMScheduler)
# In sqrt(alpha); some classes put a small number in place of 0 at the last timestep, 2e-4 by this measure.
_TOLERANCE = 1e-3
_DYNAMIC_EXPONENT = 5


def trained_alphas(scheduler: Any) -> torch.Tensor:
    """Return the cumulative alphas, float (T,), that a CogVideoX was trained on, by the configuration of its scheduler.

    A scheduler of another class keeps keys that it does not know in its configuration.
    """
    own = scheduler if isinstance(scheduler, _OWN) else CogVideoXDDIMScheduler.from_config(scheduler.config)
    return own.alphas_cumprod.detach().cpu().clone()


def check_schedule(scheduler: Any, alphas: torch.Tensor) -> None:
    """Raise ValueError unless a scheduler adds noise as in training, and takes the model's output for a velocity.

    Args:
        scheduler: Of any class.
        alphas: From `trained_alphas`, of the scheduler that came with the model.

    Source: diffusers, schedulers/scheduling_ddim_cogvideox.py (0.42), whose `snr_shift_scale` other classes lack.
    """
    name = type(scheduler).__name__
    remedy = " Take CogVideoXDDIMScheduler or CogVideoXDPMScheduler, from_config of the base's own."
    kind = scheduler.config.get("prediction_type")
    if kind != "v_prediction":
        raise ValueError(
            f"Got a {name} with prediction_type {kind!r}, expected 'v_prediction', which the model was trained to give."
            + remedy
        )
    clips = [key for key in ("clip_sample", "thresholding") if scheduler.config.get(key)]
    if clips and not isinstance(scheduler, _OWN):  # which read neither
        raise ValueError(f"Got a {name} with {clips[0]}=True, expected False: latents are not bounded." + remedy)
    own = getattr(scheduler, "alphas_cumprod", None)
    if own is None or own.shape != alphas.shape:
        got = "none" if own is None else f"one of {len(own)} timesteps"
        raise ValueError(
            f"Got a {name}, whose noise schedule is {got}, expected that of training, {len(alphas)}." + remedy
        )
    gap = (own.detach().cpu().double().sqrt() - alphas.double().sqrt()).abs().max().item()
    if gap > _TOLERANCE:
        keys = ("snr_shift_scale", "rescale_betas_zero_snr", "beta_schedule", "beta_start", "beta_end")
        settings = ", ".join(f"{key}={scheduler.config[key]!r}" for key in keys if key in scheduler.config)
        raise ValueError(
            f"Got a {name} ({settings}) whose noise schedule is off by {gap:.3f} in sqrt(alpha), expected that of training:"
            " the class leaves out a key that it does not know, such as snr_shift_scale, or a key has changed." + remedy
        )


def check_steps(scheduler: Any, num_inference_steps: int) -> None:
    """Raise ValueError when a scheduler would begin below the noise that it is given, or step past its own list.

    The DDIM-like classes take the previous timestep as t - T // N, whatever the list they made: right only when the list
    has that very stride, as with `trailing` spacing and N dividing T. Otherwise every step lands on a wrong noise level,
    silently. And with any class, pure noise is what the last timestep of training looks like, and no other.

    Source: diffusers, schedulers/scheduling_ddim_cogvideox.py (0.42), `step`; its pull request 13125; "Common Diffusion
    Noise Schedules and Sample Steps are Flawed" (arXiv 2305.08891), section 3.3.
    """
    total = scheduler.config.num_train_timesteps
    check_step_count(num_inference_steps, total)
    scheduler.set_timesteps(num_inference_steps)
    timesteps = scheduler.timesteps
    wrong = timesteps[0] < total - 1
    if isinstance(scheduler, (*_OWN, DDIMScheduler)):
        stride = total // num_inference_steps
        wrong = wrong or total % num_inference_steps or not torch.all(torch.diff(timesteps) == -stride)
    if wrong:
        divisors = [steps for steps in range(1, min(total, 200) + 1) if total % steps == 0]
        raise ValueError(
            f"Got num_inference_steps {num_inference_steps} with timestep_spacing"
            f" {scheduler.config.timestep_spacing!r}, expected a divisor of {total} such as {divisors} with 'trailing'."
            " Choose such a number, and set the spacing with pipeline.scheduler ="
            " type(pipeline.scheduler).from_config(pipeline.scheduler.config, timestep_spacing='trailing')."
        )


def dynamic_guidance(scale: float, timestep: float, num_train_timesteps: int) -> float:
    """Return the guidance at a timestep: 1 at the first step, growing with every step to nearly 1 + scale at the last.

    Diffusers' own formula sets timesteps of training against the number of sampling steps, and jumps about.

    Source: zai-org/CogVideo, sat/sgm/modules/diffusionmodules/guiders.py, `DynamicCFG`; diffusers issue 9641.
    """
    done = 1 - (timestep + 1) / num_train_timesteps
    return 1 + scale * (1 - math.cos(math.pi * done**_DYNAMIC_EXPONENT)) / 2
