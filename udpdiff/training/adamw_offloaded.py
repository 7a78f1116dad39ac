"""AdamW with its state in the host's memory and its arithmetic on the host's processor.

The device keeps weights and gradients alone, 8 bytes a weight instead of 16: of CogVideoX-5B 44.6 GB instead of 89.1, of 2B
13.6 instead of 27.1. Every step sends weights and gradients to the host and the weights back, 12 bytes a weight.

torchao's CPUOffloadOptimizer is not used: it copies each gradient while the backward pass goes on, before the gradients are
clipped, and it needs a GPU. a-r-r-o-w/cogvideox-factory measured 39.4 GB for the 5B with that one, its weights in bfloat16.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.optim.adamw import adamw


class OffloadedAdamW(torch.optim.Optimizer):
    """torch's AdamW, step by step on the host; its state is AdamW's, so that one continues what the other began.

    Args:
        weights: Float32, on any device, not sharded.
        lr: The learning rate.
        weight_decay: As in torch.optim.AdamW, as are betas and eps.
    """

    def __init__(
        self,
        weights: Iterable[nn.Parameter],
        lr: float,
        weight_decay: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay, "betas": betas, "eps": eps})
        weights = [weight for group in self.param_groups for weight in group["params"]]
        largest = max(weight.numel() for weight in weights)
        # Memory that the device can copy from and to directly, for one weight and its gradient at a time.
        pinned = any(weight.is_cuda for weight in weights)
        self._buffers = torch.empty(2, largest, pin_memory=pinned)

    @torch.no_grad()
    def step(self, closure=None) -> None:
        """Do one step, one weight after the other."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._step(weight, group)

    def load_state_dict(self, state_dict: dict) -> None:
        """Load a state, which torch puts beside the weights, and take it back to the host."""
        super().load_state_dict(state_dict)
        for state in self.state.values():
            state.update({name: tensor.cpu() for name, tensor in state.items()})

    def _step(self, weight: nn.Parameter, group: dict) -> None:
        state = self.state[weight]
        if not state:
            state["step"] = torch.tensor(0.0)
            state |= {name: torch.zeros(weight.shape) for name in ("exp_avg", "exp_avg_sq")}
        host, gradient = (buffer[: weight.numel()].view(weight.shape) for buffer in self._buffers)
        host.copy_(weight)
        gradient.copy_(weight.grad)
        adamw(
            [host],
            [gradient],
            [state["exp_avg"]],
            [state["exp_avg_sq"]],
            [],
            [state["step"]],
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            maximize=False,
        )
        weight.copy_(host)
