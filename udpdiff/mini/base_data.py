"""What the base model of `mini:cogvideox` learns from: latents of scenes, where their solids are, and token ids."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from udpdiff.mini.scenes import Scenes
from udpdiff.mini.tokenizer import TEXT_LENGTH
from udpdiff.model.latents import encode_videos
from udpdiff.sources.ray_casting import FIRST_SOLID_ID

PROMPT_DROPOUT, DETAILED_SHARE = 0.1, 0.8


@dataclass(frozen=True)
class TrainingData:
    """Latents float16 (N, F, C, h, w), scaled; solids bool (N, F, 1, h, w), where a solid is seen; brief and detailed
    token ids (N, L); empty prompt's ids (L,)."""

    latents: torch.Tensor
    solids: torch.Tensor
    brief: torch.Tensor
    detailed: torch.Tensor
    empty: torch.Tensor

    def batch(self, count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Latents float32 (B, F, C, h, w), solids and token ids (B, L) of scenes drawn at random."""
        index = torch.randint(len(self.latents), (count,), generator=generator)
        detailed = torch.rand(count, 1, generator=generator) < DETAILED_SHARE
        token_ids = torch.where(detailed, self.detailed[index], self.brief[index])
        dropped = torch.rand(count, 1, generator=generator) < PROMPT_DROPOUT
        return self.latents[index].float(), self.solids[index], torch.where(dropped, self.empty, token_ids)


def encode_latents(vae, video: np.ndarray) -> torch.Tensor:
    """Posterior means, scaled: float16 (N, F, C, h, w)."""
    parts = [encode_videos(vae, video[start : start + 8]).astype(np.float16) for start in range(0, len(video), 8)]
    return torch.from_numpy(np.concatenate(parts))


def find_solids(entity_ids: np.ndarray) -> torch.Tensor:
    """Bool (N, F, 1, h, w): the latent cells of 4 x 4 px (and 1, 4, 4, ... frames) in which entity_ids show a solid."""
    solids = torch.from_numpy(entity_ids >= FIRST_SOLID_ID).float()
    cells = F.max_pool2d(solids, 4)
    return torch.cat([cells[:, :1], F.max_pool3d(cells[:, None, 1:], (4, 1, 1))[:, 0]], 1).bool().unsqueeze(2)


def load_data(vae, tokenizer, *scenes: Scenes) -> TrainingData:
    """Latents and tokens of scenes, one set after the other."""

    def tokens(captions: list[str]) -> torch.Tensor:
        options = {"padding": "max_length", "max_length": TEXT_LENGTH, "truncation": True, "return_tensors": "pt"}
        return tokenizer(captions, **options).input_ids

    return TrainingData(
        latents=torch.cat([encode_latents(vae, part.video) for part in scenes]),
        solids=torch.cat([find_solids(part.entity_ids) for part in scenes]),
        brief=tokens([caption for part in scenes for caption in part.brief]),
        detailed=tokens([caption for part in scenes for caption in part.detailed]),
        empty=tokens([""])[0],
    )
