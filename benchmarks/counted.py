"""Work of sampling calls, counted on the networks without weights: what a share of answered steps saves at any shape.

Work is no time: attention, products and convolutions reach different shares of a device's peak.
"""

from __future__ import annotations

from functools import cache

import torch
from diffusers import AutoencoderKLCogVideoX
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import shapes
from udpdiff.planning.counted_work import transformer_flops


def work_ratio(shape: shapes.Shape, steps: int, computed: float, answered: float, all_steps: int) -> float:
    """Return the work of a call for video and dense stream over that of the stock call, both with guidance.

    The text encoder and the widened layers are left out: together less than a hundredth.

    Args:
        steps: That are computed or answered.
        computed: Share of the steps that are computed.
        answered: Work of an answered step, as a share of a computed one's.
        all_steps: Of the stock call.
    """
    step = 2 * transformer_flops(shape.base, shape.num_frames, shape.height, shape.width)
    decoding = decoding_flops(shape)
    own = steps * step * (computed + (1 - computed) * answered) + 2 * decoding
    return own / (all_steps * step + decoding)


@cache
def decoding_flops(shape: shapes.Shape) -> int:
    """Return the operations of decoding one clip."""
    config, size = shapes.configs(shape)["vae"], (1, *shape.latents)
    with torch.device("meta"), torch.no_grad():
        vae = AutoencoderKLCogVideoX.from_config(config)
        with FlopCounterMode(display=False) as counter:
            vae.decode(torch.empty(size))
    return counter.get_total_flops()
