"""Eq. (1): the task embedding adds its row to the time-step embedding, and starts as a no-op."""

from __future__ import annotations

import torch
from diffusers.models.embeddings import TimestepEmbedding

from udpdiff.model.task_embedding import TaskTimestepEmbedding


def test_starts_as_the_plain_time_embedding_and_then_adds_one_row_per_task():
    ours = TaskTimestepEmbedding(8, 6, "silu", num_tasks=3)
    plain = TimestepEmbedding(8, 6, "silu")
    missing, unexpected = plain.load_state_dict(ours.state_dict(), strict=False)
    assert not missing and unexpected == ["task_embedding.weight"]

    sample, task_ids = torch.randn(4, 8), torch.tensor([2, 0, 1, 2])
    assert torch.equal(ours(sample, task_ids), plain(sample))
    torch.nn.init.normal_(ours.task_embedding.weight)
    torch.testing.assert_close(ours(sample, task_ids) - plain(sample), ours.task_embedding.weight[task_ids])
    assert torch.equal(ours(sample), plain(sample))
