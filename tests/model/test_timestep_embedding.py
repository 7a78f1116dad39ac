"""Eq. (1): the task's row is added to the timestep embedding, as are other streams' timesteps, from zero on."""

from __future__ import annotations

import torch
from diffusers.models.embeddings import TimestepEmbedding

from udpdiff.model.timestep_embedding import StreamTimestepEmbedding, TimestepCondition


def test_starts_as_the_plain_time_embedding_and_then_adds_one_row_per_task():
    ours = StreamTimestepEmbedding(8, 6, "silu", num_tasks=3)
    plain = TimestepEmbedding(8, 6, "silu")
    missing, unexpected = plain.load_state_dict(ours.state_dict(), strict=False)
    assert not missing and unexpected == ["task_embedding.weight"]

    sample, task_ids = torch.randn(4, 8), torch.tensor([2, 0, 1, 2])
    assert torch.equal(ours(sample, TimestepCondition(task_ids)), plain(sample))
    torch.nn.init.normal_(ours.task_embedding.weight)
    added = ours(sample, TimestepCondition(task_ids)) - plain(sample)
    torch.testing.assert_close(added, ours.task_embedding.weight[task_ids])
    assert torch.equal(ours(sample), plain(sample))


def test_each_dense_stream_adds_its_projected_distance_from_the_video():
    ours = StreamTimestepEmbedding(8, 6, "silu", num_tasks=0, num_projections=2)
    plain = TimestepEmbedding(8, 6, "silu")
    missing, unexpected = plain.load_state_dict(ours.state_dict(), strict=False)
    assert not missing and unexpected == [f"stream_projections.{number}.weight" for number in (0, 1)]

    video, seg, depth = torch.randn(3, 4, 8)
    assert torch.equal(ours(video, TimestepCondition(None, (seg, depth))), plain(video))
    for projection in ours.stream_projections:
        torch.nn.init.normal_(projection.weight)
    assert torch.equal(ours(video, TimestepCondition(None, (video, video))), plain(video))
    weights = [projection.weight for projection in ours.stream_projections]
    expected = sum((plain(own) - plain(video)) @ weight.T for own, weight in zip((seg, depth), weights, strict=True))
    torch.testing.assert_close(ours(video, TimestepCondition(None, (seg, depth))) - plain(video), expected)
