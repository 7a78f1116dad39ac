"""An optimizer for short trainings: orthogonalised momentum for matrices and kernels, AdamW for the rest.

It reaches a given loss in markedly fewer steps than AdamW alone, which is what counts where a training is a few hundred or
thousand steps long. torch.optim.Muon takes matrices alone, one by one; this takes kernels too, equal shapes together.

Source: Muon (Jordan et al. 2024, Newton-Schulz iteration), update scaled as by Liu et al. 2025 (arXiv 2502.16982).
"""

from __future__ import annotations

import torch
from torch.optim.adamw import adamw

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # quintic of the Newton-Schulz iteration, from the first source
_ITERATIONS = 5
_EPSILON = 1e-8


class MuonAdam(torch.optim.Optimizer):
    """Muon on `matrices` (2-D weights, or kernels seen as (out, rest)), AdamW on `others`; one learning rate for both.

    adam_ratio multiplies the learning rate of `others`. The scaled update has AdamW's size, so that AdamW's learning
    rates and weight decay carry over.
    """

    def __init__(
        self, matrices, others, lr: float, momentum: float = 0.95, betas=(0.9, 0.98), weight_decay=0.0, adam_ratio=1.0
    ) -> None:
        groups = [
            {"params": list(matrices), "kind": "muon", "momentum": momentum},
            {"params": list(others), "kind": "adam", "betas": betas, "adam_ratio": adam_ratio},
        ]
        super().__init__([group for group in groups if group["params"]], {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            (self._step_muon if group["kind"] == "muon" else self._step_adam)(weights, group)

    def _step_muon(self, weights: list[torch.Tensor], group: dict) -> None:
        by_shape: dict[tuple[int, int], list[torch.Tensor]] = {}
        for weight in weights:
            by_shape.setdefault((weight.shape[0], weight[0].numel()), []).append(weight)
        for shape, alike in by_shape.items():
            stacked = torch.stack([self._momentum(weight, group) for weight in alike])
            updates = orthogonalise(stacked.bfloat16())  # the source's precision: only the direction matters
            scale = 0.2 * max(shape) ** 0.5 * group["lr"]
            for weight, update in zip(alike, updates, strict=True):
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update.view_as(weight).to(weight.dtype), alpha=-scale)

    def _momentum(self, weight: torch.Tensor, group: dict) -> torch.Tensor:
        """Nesterov momentum of the gradient, as a matrix."""
        average = self.state[weight].setdefault("average", torch.zeros_like(weight))
        average.lerp_(weight.grad, 1 - group["momentum"])
        return weight.grad.lerp(average, group["momentum"]).flatten(1)

    def _step_adam(self, weights: list[torch.Tensor], group: dict) -> None:
        for weight in weights:
            if not self.state[weight]:
                zeros = {name: torch.zeros_like(weight) for name in ("exp_avg", "exp_avg_sq")}
                self.state[weight] |= zeros | {"step": torch.tensor(0.0)}
        states = [self.state[weight] for weight in weights]
        adamw(
            weights,
            [weight.grad for weight in weights],
            *([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq")),
            [],
            [state["step"] for state in states],
            foreach=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"] * group["adam_ratio"],
            weight_decay=group["weight_decay"],
            eps=_EPSILON,
            maximize=False,
        )


def orthogonalise(matrices: torch.Tensor) -> torch.Tensor:
    """Push the singular values of each matrix (N, rows, columns) towards 1."""
    a, b, c = _COEFFICIENTS
    wide = matrices.shape[1] <= matrices.shape[2]
    x = matrices if wide else matrices.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if wide else x.mT
