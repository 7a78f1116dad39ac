"""Which attention kernel a training step uses: on a CPU, short sequences take two matrix products and a softmax.

Knows nothing of models: whatever calls `scaled_dot_product_attention` inside the context is served.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
import torch.nn.functional as F

# Beyond this the weights of all pairs of tokens outgrow the caches, and later the memory.
_MAX_PLAIN_TOKENS = 1024


def training_attention(tokens: int, device: torch.device, mixed_precision: str) -> contextlib.AbstractContextManager:
    """Return a context in which short sequences in bfloat16 on a CPU use two matrix products and a softmax.

    Forward and backward take less of a processor than the fused kernel there (benchmarks/README.md); on GPUs, for longer
    sequences and without a backward pass the fused kernels stay. torch's own kernel of this kind (SDPBackend.MATH) makes
    passes over the weights of all pairs that only a mask could need.

    Args:
        tokens: That attend to each other.
        device: Of the step.
        mixed_precision: "no", bf16 or fp16.
    """
    if device.type != "cpu" or mixed_precision != "bf16" or tokens > _MAX_PLAIN_TOKENS:
        return contextlib.nullcontext()
    return _written_out()


@contextlib.contextmanager
def _written_out() -> Iterator[None]:
    """torch's function is replaced, for a function mode of torch's is off in the backward pass, where checkpointing computes
    again."""
    fused = F.scaled_dot_product_attention

    def attention(*tensors: torch.Tensor, **options) -> torch.Tensor:
        plain = len(tensors) == 3 and not any(torch.is_tensor(option) or option for option in options.values())
        return _attend(*tensors) if plain else fused(*tensors, **options)

    F.scaled_dot_product_attention = attention
    try:
        yield
    finally:
        F.scaled_dot_product_attention = fused


def _attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Attention (..., tokens, size) in autocast's precision where that is on, as of `scaled_dot_product_attention`."""
    kind = query.device.type
    if torch.is_autocast_enabled(kind):
        query, key, value = (each.to(torch.get_autocast_dtype(kind)) for each in (query, key, value))
    with torch.autocast(kind, enabled=False):
        # The scale on the smaller operand; a power of two, as for heads of 64, rounds nothing.
        return ((query * query.shape[-1] ** -0.5) @ key.mT).softmax(dim=-1) @ value
