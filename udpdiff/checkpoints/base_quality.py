"""How well the base model of `mini:cogvideox` explains held-out scenes, and how much it listens to the prompt."""

from __future__ import annotations

import torch

_LEVELS = (100, 300, 500, 700, 900)  # timesteps


@torch.no_grad()
def measure(objective, latents: torch.Tensor, token_ids: torch.Tensor) -> dict[str, float]:
    """v-prediction loss on latents (N, F, C, h, w) with their own token ids (N, L), and with another scene's."""
    generator = torch.Generator().manual_seed(0)
    right, swapped = [], []
    for level in _LEVELS:
        noise = torch.randn(latents.shape, generator=generator)
        timesteps = torch.full((len(latents),), level)
        right.append(objective(latents.float(), token_ids, noise, timesteps).item())
        swapped.append(objective(latents.float(), token_ids.roll(1, 0), noise, timesteps).item())
    return {
        "held_out_loss": sum(right) / len(right),
        "held_out_loss_with_swapped_prompts": sum(swapped) / len(swapped),
    }
