"""Noise of all streams: the video's is the baseline's, every dense stream's is its own."""

from __future__ import annotations

import torch
from diffusers import CogVideoXPipeline

from udpdiff.model.noise import dense_generators, paired_latents

SHAPE = (3, 16, 16, 16)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_the_videos_noise_is_the_stock_pipelines_draw(tiny_components, tiny_transformer):
    stock = CogVideoXPipeline(**tiny_components, transformer=tiny_transformer)
    for dtype in (torch.float32, torch.bfloat16):
        expected = stock.prepare_latents(2, 16, 9, 64, 64, dtype, torch.device("cpu"), [seeded(4), seeded(5)])
        for num_streams in (2, 3):
            drawn = paired_latents([4, 5], SHAPE, num_streams, dtype=dtype)
            assert drawn.shape == (2, 3, num_streams * 16, 16, 16)
            assert torch.equal(drawn[:, :, :16], expected)


def test_a_further_stream_leaves_the_noise_of_those_before_it():
    assert torch.equal(paired_latents([4, 5], SHAPE, 3)[:, :, :32], paired_latents([4, 5], SHAPE))


def test_a_seed_gives_the_same_row_in_any_batch():
    assert torch.equal(paired_latents([4, 5], SHAPE)[1], paired_latents([5, 9, 1], SHAPE)[0])


def test_streams_are_unit_normal_and_independent():
    video, first, second = paired_latents([0, 1, 2, 3], SHAPE, 3).chunk(3, dim=2)
    for noise in (video, first, second):
        assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02
    neighbours = paired_latents([1, 2, 3, 4], SHAPE)[:, :, :16]
    for one, other in ((video, first), (video, second), (first, second), (first, neighbours)):
        assert abs((one * other).mean()) < 0.02


def test_dense_generators_follow_the_state_and_do_not_advance_it():
    generator = seeded(4)
    first = [each.initial_seed() for each in dense_generators(generator, 2)]
    assert first[0] != first[1]
    assert [each.initial_seed() for each in dense_generators(generator, 2)] == first
    torch.randn(5, generator=generator)
    assert not {each.initial_seed() for each in dense_generators(generator, 2)} & set(first)
    assert dense_generators(None, 2) == [None, None]


def test_generators_of_a_batch_are_those_of_its_samples():
    batch = dense_generators([seeded(4), seeded(5)], 2)
    seeds = [[each.initial_seed() for each in stream] for stream in batch]
    alone = [[each.initial_seed() for each in dense_generators(seeded(seed), 2)] for seed in (4, 5)]
    assert seeds == [list(stream) for stream in zip(*alone, strict=True)]
