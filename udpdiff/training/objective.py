r"""The diffusion objective on the latents of all streams, in float32 whatever the model computes in.

    x_t = sqrt(a_t) x_0 + sqrt(1 - a_t) eps          v = sqrt(a_t) eps - sqrt(1 - a_t) x_0

`v`: ||v' - v||^2, what CogVideoX was trained on. Its public trainers write it as ||x_0' - x_0||^2 / (1 - a_t), which
is the same number. `eps_weighted`: ||eps' - eps||^2 with eps' = sqrt(a_t) v' + sqrt(1 - a_t) x_t, that is eq. (2) of
the paper on the converted output; it equals a_t ||v' - v||^2, so it ignores the noisiest steps. The factor 1/2 of
eq. (2) is left out: it only rescales the gradient, which Adam undoes.

Knows nothing about models, tasks or captions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from diffusers import SchedulerMixin

from udpdiff.model.streams import Streams

ObjectiveKind = Literal["v", "eps_weighted"]


@dataclass
class SampleLosses:
    """Losses of some samples.

    Attributes:
        by_stream: Float32 (B,) for each stream, in their order.
        weights: Of the streams in the total.
    """

    by_stream: dict[str, torch.Tensor]
    weights: Mapping[str, float]

    @property
    def total(self) -> torch.Tensor:
        """Float32 (B,), the weighted mean; with equal weights the mean over all channels."""
        weighted = [self.weights[name] * loss for name, loss in self.by_stream.items()]
        # From the first on, not from 0: the order of the sums decides the last bits.
        return sum(weighted[1:], start=weighted[0]) / sum(self.weights.values())


class Objective:
    """Noise, target and loss for one noise schedule.

    The cumulative alphas are taken from the scheduler once, in float32: `add_noise` and `get_velocity` cast them to
    the latents' dtype, and in bfloat16 the first timesteps would get no noise at all.

    Args:
        scheduler: Of the base checkpoint.
        streams: What the latents hold.
        kind: `v` or `eps_weighted`.

    Raises:
        ValueError: Unknown kind, or a scheduler for another kind of output.

    Source: UDPDiff, eq. (2); diffusers, examples/cogvideo/train_cogvideox_lora.py; diffusers issue 9004.
    """

    def __init__(self, scheduler: SchedulerMixin, streams: Streams, kind: ObjectiveKind = "v") -> None:
        if kind not in ("v", "eps_weighted"):
            raise ValueError(f"Unknown objective: got {kind!r}, expected 'v' or 'eps_weighted'.")
        if scheduler.config.prediction_type != "v_prediction":
            raise ValueError(
                f"Got a scheduler with prediction_type {scheduler.config.prediction_type!r}, expected 'v_prediction':"
                " the loss reads the model's output as v. Use the scheduler of a CogVideoX checkpoint."
            )
        self.streams, self.kind = streams, kind
        self.weights = {stream.name: stream.loss_weight for stream in streams.streams}
        self.alphas_cumprod = scheduler.alphas_cumprod.detach().to(torch.float32).clone()

    @property
    def num_timesteps(self) -> int:
        """How many timesteps the schedule has; valid timesteps are 0 ... num_timesteps - 1."""
        return len(self.alphas_cumprod)

    def add_noise(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """Return x_t, float32 (B, F, S * C, h, w), from x_0 and eps of that shape and timesteps long (B, S)."""
        signal, sigma = self._scales(timesteps)
        return signal * latents.float() + sigma * noise.float()

    def velocity(self, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor) -> torch.Tensor:
        """Return v, float32 (B, F, S * C, h, w), from what `add_noise` takes."""
        signal, sigma = self._scales(timesteps)
        return signal * noise.float() - sigma * latents.float()

    def losses(
        self, model_output: torch.Tensor, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor
    ) -> SampleLosses:
        """Compare the model's output (B, F, S * C, h, w) with the target; the rest as `add_noise` takes it."""
        error = self._squared_error(model_output.float(), latents, noise, timesteps)
        parts = self.streams.split(error)
        return SampleLosses({name: part.flatten(1).mean(1) for name, part in parts.items()}, self.weights)

    def _squared_error(
        self, output: torch.Tensor, latents: torch.Tensor, noise: torch.Tensor, timesteps: torch.Tensor
    ) -> torch.Tensor:
        if self.kind == "v":
            return (output - self.velocity(latents, noise, timesteps)).square()
        signal, sigma = self._scales(timesteps)
        predicted_noise = signal * output + sigma * self.add_noise(latents, noise, timesteps)
        return (predicted_noise - noise.float()).square()

    def _scales(self, timesteps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return sqrt(a_t) and sqrt(1 - a_t), float32 (B, 1, S * C, 1, 1)."""
        if self.alphas_cumprod.device != timesteps.device:
            self.alphas_cumprod = self.alphas_cumprod.to(timesteps.device)
        alphas = self.alphas_cumprod[timesteps].repeat_interleave(self.streams.channels, dim=1)[:, None, :, None, None]
        return alphas.sqrt(), (1 - alphas).sqrt()
