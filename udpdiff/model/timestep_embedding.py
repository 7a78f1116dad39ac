"""What is added to the embedding of the video's timestep: the task, eq. (1) of the paper, and other streams' timesteps.

Knows nothing about which tasks and streams exist: both are row numbers here.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from diffusers.models.embeddings import TimestepEmbedding
from torch import nn


class TimestepCondition(NamedTuple):
    """What a call says beside the video's timestep.

    Attributes:
        task_ids: Rows of the task embedding, long (B,); None for no task.
        dense_samples: For each dense stream, its projected timesteps, float (B, in_channels); empty where all streams
            have the video's.
    """

    task_ids: torch.Tensor | None = None
    dense_samples: tuple[torch.Tensor, ...] = ()


class StreamTimestepEmbedding(TimestepEmbedding):
    """Timestep embedding plus a learned task embedding, plus a learned projection of each dense stream's own timestep.

    t = e_t(t_video) + e_d(d) + sum over streams s of P_s (e_t(t_s) - e_t(t_video)). Tasks and projections start at
    zero, hence as exact no-ops, and equal timesteps stay one.

    Seam (diffusers 0.42): CogVideoX calls `time_embedding(sample, timestep_cond)` and never builds the projection that
    `timestep_cond` needs, so the second argument is free to carry all this; no state, safe under compilation.

    Args:
        num_tasks: Rows of the task embedding; 0 builds none.
        num_projections: Dense streams with timesteps of their own.

    Source: UDPDiff, section 3.4, eq. (1); the projections are this project's.
    """

    def __init__(
        self, in_channels: int, time_embed_dim: int, act_fn: str, num_tasks: int, num_projections: int = 0
    ) -> None:
        super().__init__(in_channels, time_embed_dim, act_fn)
        if num_tasks:
            self.task_embedding = nn.Embedding(num_tasks, time_embed_dim)
            nn.init.zeros_(self.task_embedding.weight)
        self.stream_projections = nn.ModuleList()
        for _ in range(num_projections):
            self.stream_projections.append(nn.Linear(time_embed_dim, time_embed_dim, bias=False))
            nn.init.zeros_(self.stream_projections[-1].weight)

    def forward(self, sample: torch.Tensor, condition: TimestepCondition | None = None) -> torch.Tensor:
        """Return float (B, D) for the video's projected timesteps, float (B, in_channels)."""
        video = embedding = super().forward(sample)
        if condition is None:
            return embedding
        if condition.task_ids is not None:
            embedding = embedding + self.task_embedding(condition.task_ids).to(embedding.dtype)
        if condition.dense_samples:
            for projection, dense in zip(self.stream_projections, condition.dense_samples, strict=True):
                embedding = embedding + projection(super().forward(dense) - video)
        return embedding
