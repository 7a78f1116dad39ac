"""An exponential moving average of the trained weights."""

from __future__ import annotations

from collections.abc import Iterable

import torch


class WeightAverage:
    """Float32 running mean of parameters, updated after every optimizer step.

    decay: of the settled average. It starts smaller, (1 + s) / (10 + s) at step s, or the average would remember the
    initial weights for 1 / (1 - decay) steps.
    """

    def __init__(self, named_parameters: Iterable[tuple[str, torch.nn.Parameter]], decay: float) -> None:
        self.decay = decay
        named = list(named_parameters)
        self._parameters = [parameter for _, parameter in named]
        self.weights = {name: parameter.detach().float().clone() for name, parameter in named}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move towards the present weights after optimizer step number `step`, counting from 1."""
        decay = min(self.decay, (1 + step) / (10 + step))
        present = [parameter.detach().float() for parameter in self._parameters]
        torch._foreach_lerp_(list(self.weights.values()), present, 1 - decay)

    @torch.no_grad()
    def load(self, weights: dict[str, torch.Tensor]) -> None:
        """Take over saved averages; ValueError when they are those of another model."""
        if set(weights) != set(self.weights):
            odd = sorted(set(weights) ^ set(self.weights))
            raise ValueError(f"Got averages of other parameters ({odd[:3]} ...), expected those of this model.")
        for name, average in self.weights.items():
            average.copy_(weights[name])

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the averages and the model's weights; a second call restores both."""
        for parameter, average in zip(self._parameters, self.weights.values(), strict=True):
            present = parameter.detach().float().clone()
            parameter.copy_(average)
            average.copy_(present)
