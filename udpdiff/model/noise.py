"""Initial noise of all streams: one seed gives UDPDiff and the CogVideoX baseline the same video noise.

A single draw over all channels would give the video other numbers than the baseline gets, and "the same seed" would
compare nothing. So video noise is drawn first, as the baseline draws it, and the noise of every further stream comes
from a generator of its own that the video's determines.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.utils.torch_utils import randn_tensor

Generators = torch.Generator | list[torch.Generator] | None


def dense_generators(generator: Generators, count: int = 1) -> list[Generators]:
    """Return the generator(s) of each dense stream's noise, derived from the present state of the video's.

    The state, not the seed, is what counts: a generator used for two calls gives new dense noise in the second.

    Args:
        generator: Of the video noise, one for all samples or one for each; does not advance. None, torch's global
            generator, stays None.
        count: How many dense streams there are.
    """
    if generator is None:
        return [None] * count
    if isinstance(generator, (list, tuple)):
        return [list(streams) for streams in zip(*(dense_generators(each, count) for each in generator), strict=True)]
    twin = torch.Generator(device=generator.device)
    twin.set_state(generator.get_state())
    seeds = [torch.randint(2**62, (1,), generator=twin, device=generator.device).item() for _ in range(count)]
    return [torch.Generator(device=generator.device).manual_seed(seed) for seed in seeds]


def paired_latents(
    seeds: Sequence[int],
    shape: tuple[int, int, int, int],
    num_streams: int = 2,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Draw the noise of all streams, one row per seed, whatever the batch the seeds come in.

    Args:
        seeds: One for each sample.
        shape: (F, C, h, w) of one sample's video latents.
        num_streams: The video and the dense ones.

    Returns:
        (len(seeds), F, num_streams * C, h, w), to be passed as `latents=`. The first C channels equal what
        `CogVideoXPipeline.prepare_latents` draws from these seeds, before the scheduler's initial scale.
    """
    video = [torch.Generator().manual_seed(seed) for seed in seeds]
    generators = [video, *dense_generators(video, num_streams - 1)]  # before the video's draw, which advances its own
    shape, device = (len(seeds), *shape), torch.device(device)
    return torch.cat([randn_tensor(shape, generator=each, device=device, dtype=dtype) for each in generators], dim=2)
