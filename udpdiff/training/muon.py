"""An optimizer for short trainings: orthogonalised momentum for matrices and kernels, AdamW for the rest.

It reaches a given loss in markedly fewer steps than AdamW alone, which is what counts where a training is a few hundred or
thousand steps long. torch.optim.Muon takes matrices alone, one by one; this takes kernels too, equal shapes together.

Source: Muon (Jordan et al. 2024), orthogonalised as by Polar Express (Amsel et al. 2025, arXiv 2505.16932), the update
scaled as by Liu et al. 2025 (arXiv 2502.16982).
"""

from __future__ import annotations

import torch
from torch.optim.adamw import adamw

# The first three polynomials a x + b x^3 + c x^5 of Polar Express, with the source's safety margin against rounding. They
# take singular values from 0.001 up to between 0.1 and 1.9; a mini run learns as fast by them as by five of Jordan's.
_COEFFICIENTS = [
    (a / 1.01, b / 1.01**3, c / 1.01**5)
    for a, b, c in (
        (8.28721201814563, -23.595886519098837, 17.300387312530933),
        (4.107059111542203, -2.9478499167379106, 0.5448431082926601),
        (3.9486908534822946, -2.908902115962949, 0.5518191394370137),
    )
]
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
            # The source's precision: only the direction matters. Each is rounded where it is to be, not stacked before.
            stacked = torch.empty(len(alike), *shape, dtype=torch.bfloat16, device=alike[0].device)
            for weight, place in zip(alike, stacked, strict=True):
                place.view_as(weight).copy_(self._momentum(weight, group))
            scale = 0.2 * max(shape) ** 0.5 * group["lr"]
            for weight, update in zip(alike, orthogonalise(stacked), strict=True):
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update.view_as(weight), alpha=-scale)

    def _momentum(self, weight: torch.Tensor, group: dict) -> torch.Tensor:
        """Nesterov momentum of the gradient."""
        state = self.state[weight]
        if not state:
            state["average"] = torch.zeros_like(weight)
        state["average"].lerp_(weight.grad, 1 - group["momentum"])
        return weight.grad.lerp(state["average"], group["momentum"])

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
            foreach=False,
            fused=True,
            amsgrad=False,
            beta1=group["betas"][0],
            beta2=group["betas"][1],
            lr=group["lr"] * group["adam_ratio"],
            weight_decay=group["weight_decay"],
            eps=_EPSILON,
            maximize=False,
        )


def orthogonalise(matrices: torch.Tensor) -> torch.Tensor:
    """Push the singular values of each matrix (N, rows, columns) towards 1, roughly: see _COEFFICIENTS."""
    wide = matrices.shape[1] <= matrices.shape[2]
    x = matrices if wide else matrices.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for a, b, c in _COEFFICIENTS:
        gram = x @ x.mT
        quartic = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, quartic, x, beta=a)
    return x if wide else x.mT
