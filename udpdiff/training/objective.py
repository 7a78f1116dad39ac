r"""The diffusion objective on (video, dense) latents, in float32 whatever the model computes in.

    x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) eps          v = sqrt(a_t) eps - sqrt(1 - a_t) x_0

`v`: ||v' - v||^2, what CogVideoX was trained on. Its public trainers write it as ||x_0' - x_0||^2 / (1 - a_t), which
is the same number. `eps_weighted`: ||eps' - eps||^2 with eps' = sqrt(a_t) v' + sqrt(1 - a_t) x_t, that is eq. (2) of
the paper on the converted output; it equals a_t ||v' - v||^2, so it ignores the noisiest steps. The factor 1/2 of
eq. (2) is left out: it only rescales the gradient, which Adam undoes.

Knows nothing about models, tasks or captions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from diffusers import SchedulerMixin

ObjectiveKind = Literal["v", "eps_weighted"]


@dataclass
class SampleLosses:
    """Loss of each sample: `video` float32 (B,), `dense` float32 (B,) or None without dense latents."""

    video: torch.Tensor
    dense: torch.Tensor | None
    dense_weight: float

    @property
    def total(self) -> torch.Tensor:
        """Float32 (B,); with dense_weight 1 the mean over all channels of both halves."""
        if self.dense is None:
            return self.video
        return (self.video + self.dense_weight * self.dense) / (1 + self.dense_weight)


class Objective:
    """Noise, target and loss for one noise schedule.

    The cumulative alphas are taken from the scheduler once, in float32: `add_noise` and `get_velocity` cast them to
    the latents' dtype, and in bfloat16 the first timesteps would get no noise at all.

    Source: UDPDiff, eq. (2); diffusers, examples/cogvideo/train_cogvideox_lora.py; diffusers issue 9004.
    """

    def __init__(self, scheduler: SchedulerMixin, kind: ObjectiveKind = "v", dense_weight: float = 1.0) -> None:
        if kind not in ("v", "eps_weighted"):
            raise ValueError(f"Unknown objective: got {kind!r}, expected 'v' or 'eps_weighted'.")
        if scheduler.config.prediction_type != "v_prediction":
            raise ValueError(
                f"Got a scheduler with prediction_type {scheduler.config.prediction_type!r}, expected 'v_prediction':"
                " the loss reads the model's output as v. Use the scheduler of a CogVideoX checkpoint."
            )
        self.kind = kind
        self.dense_weight = dense_weight
        self.alphas_cumprod = scheduler.alphas_cumprod.detach().to(torch.float32).clone()

    @property
    def num_timesteps(self) -> int:
        """How many timesteps the schedule has; valid timesteps are 0 ... num_timesteps - 1."""
        return len(self.alphas_cumprod)

    def add_noise(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """Return x_t, float32 (B, F, C, h, w), from x_0 and eps of that shape and timesteps long (B,)."""
        signal, sigma = self._scales(timesteps)
        return signal * latents.float() + sigma * noise.float()

    def velocity(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """Return v, float32 (B, F, C, h, w)."""
        signal, sigma = self._scales(timesteps)
        return signal * noise.float() - sigma * latents.float()

    def losses(
        self,
        model_output: torch.Tensor,
        latents: torch.Tensor,
        noise: torch.Tensor,
        timesteps: torch.Tensor,
        video_channels: int,
    ) -> SampleLosses:
        """Compare the model's output with the target, all (B, F, C, h, w); channels from `video_channels` are dense."""
        error = self._squared_error(model_output.float(), latents, noise, timesteps)
        video, dense = error[:, :, :video_channels], error[:, :, video_channels:]
        return SampleLosses(
            video=video.flatten(1).mean(1),
            dense=dense.flatten(1).mean(1) if dense.shape[2] else None,
            dense_weight=self.dense_weight,
        )

    def _squared_error(
        self, output: torch.Tensor, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor
    ) -> torch.Tensor:
        if self.kind == "v":
            return (output - self.velocity(latents, noise, timesteps)).square()
        signal, sigma = self._scales(timesteps)
        predicted_noise = signal * output + sigma * self.add_noise(latents, noise, timesteps)
        return (predicted_noise - noise.float()).square()

    def _scales(self, timesteps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return sqrt(a_t) and sqrt(1 - a_t), float32 (B, 1, 1, 1, 1)."""
        if self.alphas_cumprod.device != timesteps.device:
            self.alphas_cumprod = self.alphas_cumprod.to(timesteps.device)
        alphas = self.alphas_cumprod[timesteps].view(-1, 1, 1, 1, 1)
        return alphas.sqrt(), (1 - alphas).sqrt()
