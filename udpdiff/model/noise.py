"""Paired initial noise: one seed gives UDPDiff and the CogVideoX baseline the same video noise.

A single draw of twice the channels would give the video half other numbers than the baseline gets, and "the
same seed" would compare nothing. So video noise is drawn first, as the baseline draws it, and dense noise
comes from a second generator that the first one determines.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.utils.torch_utils import randn_tensor

Generators = torch.Generator | list[torch.Generator] | None


def dense_generators(generator: Generators) -> Generators:
    """Return the generator(s) of the dense noise, derived from the present state of those of the video noise.

    The state, not the seed, is what counts: a generator used for two calls gives new dense noise in the
    second. The given generators do not advance. None (torch's global generator) stays None.
    """
    if generator is None:
        return None
    if isinstance(generator, (list, tuple)):
        return [dense_generators(each) for each in generator]
    twin = torch.Generator(device=generator.device)
    twin.set_state(generator.get_state())
    seed = torch.randint(2**62, (1,), generator=twin, device=generator.device).item()
    return torch.Generator(device=generator.device).manual_seed(seed)


def paired_noise(
    shape: tuple[int, int, int, int, int],
    generator: Generators,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Draw noise for (video, dense) latents.

    shape: (B, F, C, h, w) of the *video* latents. Returns (B, F, 2C, h, w); its first C channels equal what
    `CogVideoXPipeline.prepare_latents` draws from the same generator(s), before the scheduler's initial
    scale.
    """
    dense = dense_generators(generator)  # before the video draw, which advances `generator`
    draws = [
        randn_tensor(shape, generator=each, device=torch.device(device), dtype=dtype) for each in (generator, dense)
    ]
    return torch.cat(draws, dim=2)


def paired_latents(
    seeds: Sequence[int],
    shape: tuple[int, int, int, int],
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Draw paired noise, one row per seed, whatever the batch the seeds come in.

    shape: (F, C, h, w) of one clip's video latents. Returns (len(seeds), F, 2C, h, w), to be passed as
    `latents=`.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return paired_noise((len(seeds), *shape), generators, device, dtype)
