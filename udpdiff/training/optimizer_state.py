"""An optimizer's state as named tensors, so that it is saved and read beside the weights, sharded as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import torch
from torch import nn


def optimizer_tensors(optimizer: torch.optim.Optimizer, trained: Mapping[str, nn.Parameter]) -> dict[str, torch.Tensor]:
    """Return the live tensors of an optimizer's state, by NAME.KEY; its groups' numbers are the settings'.

    A tensor that several weights share is a table of the optimizer's own, which it makes again by itself.
    """
    named = [
        (f"{name}.{key}", value)
        for name, weight in trained.items()
        for key, value in optimizer.state[weight].items()
        if torch.is_tensor(value)
    ]
    holders = Counter(id(value) for _, value in named)
    return {name: value for name, value in named if holders[id(value)] == 1}


def make_state(optimizer: torch.optim.Optimizer, trained: Mapping[str, nn.Parameter]) -> None:
    """Give an optimizer the state that its first step would make, for a checkpoint to fill; weights stay as they are.

    By a step of gradients and a learning rate of zero: only the optimizer knows what it keeps of each weight.
    """
    rates = [group["lr"] for group in optimizer.param_groups]
    for weight in trained.values():
        weight.grad = torch.zeros_like(weight)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    optimizer.step()
    optimizer.zero_grad()
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
