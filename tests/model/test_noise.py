"""Paired noise: the video half is the baseline's, the dense half is its own."""

from __future__ import annotations

import torch
from diffusers import CogVideoXPipeline

from udpdiff.model.noise import dense_generators, paired_latents, paired_noise

SHAPE = (3, 16, 16, 16)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_video_half_equals_the_stock_pipelines_draw(tiny_components, tiny_transformer):
    stock = CogVideoXPipeline(**tiny_components, transformer=tiny_transformer)
    for dtype in (torch.float32, torch.bfloat16):
        expected = stock.prepare_latents(2, 16, 9, 64, 64, dtype, torch.device("cpu"), [seeded(4), seeded(5)])
        assert torch.equal(paired_latents([4, 5], SHAPE, dtype=dtype)[:, :, :16], expected)
    expected = stock.prepare_latents(2, 16, 9, 64, 64, torch.float32, torch.device("cpu"), seeded(4))
    assert torch.equal(paired_noise((2, *SHAPE), seeded(4))[:, :, :16], expected)


def test_a_seed_gives_the_same_row_in_any_batch():
    assert torch.equal(paired_latents([4, 5], SHAPE)[1], paired_latents([5, 9, 1], SHAPE)[0])


def test_halves_are_unit_normal_and_independent():
    video, dense = paired_latents([0, 1, 2, 3], SHAPE).chunk(2, dim=2)
    for half in (video, dense):
        assert abs(half.mean()) < 0.02 and abs(half.std() - 1) < 0.02
    assert abs((video * dense).mean()) < 0.02
    neighbours = paired_latents([1, 2, 3, 4], SHAPE)[:, :, :16]
    assert abs((dense * neighbours).mean()) < 0.02


def test_dense_generator_follows_the_state_and_does_not_advance_it():
    generator = seeded(4)
    first = dense_generators(generator).initial_seed()
    assert dense_generators(generator).initial_seed() == first
    torch.randn(5, generator=generator)
    assert dense_generators(generator).initial_seed() != first
    assert dense_generators(None) is None
