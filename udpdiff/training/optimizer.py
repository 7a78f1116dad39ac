"""Which optimizer a run uses, which weights get which kind of step, and how their average is kept."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from diffusers.training_utils import EMAModel
from torch import nn

from udpdiff.training.adamw_offloaded import OffloadedAdamW
from udpdiff.training.muon import MuonAdam
from udpdiff.training.settings import TrainingSettings

_BLOCKS = ("transformer_blocks.", "encoder.block.")  # of CogVideoX and of T5


def build_optimizer(trained: Iterable[tuple[str, nn.Parameter]], settings: TrainingSettings) -> torch.optim.Optimizer:
    """Return the optimizer of named parameters: AdamW in one of its forms, or Muon for the matrices inside the blocks and
    AdamW elsewhere.

    Raises:
        ValueError: A package is not installed.
    """
    trained = list(trained)
    weights = [weight for _, weight in trained]
    options = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    if settings.optimizer == "muon":
        return MuonAdam(*split_parameters(trained), **options)
    if settings.optimizer == "adamw_8bit":
        try:
            from udpdiff.training.adamw_8bit import EightBitAdamW
        except ImportError:
            raise ValueError(
                "optimizer: got 'adamw_8bit', which needs the package `bitsandbytes`, which is not installed. Install it"
                ' (pip install -e ".[adamw-8bit]"), or set optimizer to adamw.'
            ) from None
        return EightBitAdamW(weights, **options)
    if settings.offload_optimizer:
        return OffloadedAdamW(weights, **options)
    return torch.optim.AdamW(weights, fused=True, **options)


def split_parameters(named: Iterable[tuple[str, nn.Parameter]]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Weights of the blocks' linear layers for Muon; embeddings, gates, in- and output, norms and biases for Adam."""
    matrices, others = [], []
    for name, weight in named:
        inside = any(block in name for block in _BLOCKS)
        plain = weight.ndim == 2 and "norm" not in name and "relative_attention_bias" not in name
        (matrices if inside and plain else others).append(weight)
    return matrices, others


def weight_average(trained: Iterable[nn.Parameter], decay: float) -> EMAModel:
    """Return the exponential moving average of float32 weights, which starts as what they are.

    At optimizer step s, counting from 1, the average keeps min(decay, (1 + s) / (10 + s)) of itself, or it would remember
    the initial weights for 1 / (1 - decay) steps. EMAModel counts the steps before the present one and copies the weights at
    the first; `update_after_step=-1` makes it count the present one too.
    """
    trained = list(trained)
    assert all(weight.dtype == torch.float32 for weight in trained)  # bfloat16 cannot hold so small a move
    return EMAModel(trained, decay=decay, update_after_step=-1, foreach=True)
