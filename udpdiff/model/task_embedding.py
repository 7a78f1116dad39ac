"""Eq. (1) of the paper, t_d = e_t(t) + e_d(d): the task embedding added to the time-step embedding.

Knows nothing about which tasks exist: a task is a row number here.
"""

from __future__ import annotations

import torch
from diffusers.models.embeddings import TimestepEmbedding
from torch import nn


class TaskTimestepEmbedding(TimestepEmbedding):
    """Time-step embedding plus a learned task embedding that starts at zero, hence as an exact no-op.

    Seam (diffusers 0.42): CogVideoX calls `time_embedding(sample, timestep_cond)` and never builds the
    projection that `timestep_cond` needs, so the second argument is free to carry task ids; no state, safe
    under compilation.

    sample: float (B, in_channels). condition: task ids, long (B,), or None for no task. Returns float (B, D).

    Source: UDPDiff, section 3.4, eq. (1).
    """

    def __init__(self, in_channels: int, time_embed_dim: int, act_fn: str, num_tasks: int) -> None:
        super().__init__(in_channels, time_embed_dim, act_fn)
        self.task_embedding = nn.Embedding(num_tasks, time_embed_dim)
        nn.init.zeros_(self.task_embedding.weight)

    def forward(self, sample: torch.Tensor, condition: torch.Tensor | None = None) -> torch.Tensor:
        embedding = super().forward(sample)
        if condition is None:
            return embedding
        return embedding + self.task_embedding(condition).to(embedding.dtype)
