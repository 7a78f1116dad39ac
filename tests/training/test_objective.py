"""The loss against diffusers' own formulation, and the identity behind eq. (2)."""

from __future__ import annotations

import pytest
import torch

from udpdiff.training.objective import Objective


@pytest.fixture
def example():
    generator = torch.Generator().manual_seed(0)
    latents, noise, output = (torch.randn(4, 3, 32, 4, 4, generator=generator) for _ in range(3))
    return latents, noise, output, torch.tensor([0, 250, 600, 998])


def test_noise_and_target_are_those_of_diffusers_in_float32(tiny_scheduler, example):
    latents, noise, _, timesteps = example
    objective = Objective(tiny_scheduler)
    noisy, velocity = objective.add_noise(latents, noise, timesteps), objective.velocity(latents, noise, timesteps)
    torch.testing.assert_close(noisy, tiny_scheduler.add_noise(latents, noise, timesteps))
    torch.testing.assert_close(velocity, tiny_scheduler.get_velocity(latents, noise, timesteps))


def test_v_loss_equals_the_weighted_x0_loss_of_diffusers_trainer(tiny_scheduler, example):
    latents, noise, output, timesteps = example
    noisy = tiny_scheduler.add_noise(latents, noise, timesteps)
    # The trainer of diffusers: x0 from get_velocity(output, x_t), its squared error divided by 1 - a_t.
    predicted = tiny_scheduler.get_velocity(output.double(), noisy.double(), timesteps)
    weights = 1 / (1 - tiny_scheduler.alphas_cumprod[timesteps].double())
    expected = ((predicted - latents.double()) ** 2).flatten(1).mean(1) * weights
    got = Objective(tiny_scheduler).losses(output, latents, noise, timesteps, video_channels=32).total
    torch.testing.assert_close(got.double(), expected, rtol=2e-4, atol=0)


def test_eps_weighted_is_alpha_times_v(tiny_scheduler, example):
    arguments = (example[2], example[0], example[1], example[3], 16)
    v, eps = (Objective(tiny_scheduler, kind).losses(*arguments) for kind in ("v", "eps_weighted"))
    alphas = tiny_scheduler.alphas_cumprod[example[3]].float()
    torch.testing.assert_close(eps.video, alphas * v.video, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(eps.dense, alphas * v.dense, rtol=1e-3, atol=1e-6)


def test_a_perfect_output_has_no_loss(tiny_scheduler, example):
    latents, noise, _, timesteps = example
    for kind in ("v", "eps_weighted"):
        objective = Objective(tiny_scheduler, kind)
        output = objective.velocity(latents, noise, timesteps)
        assert objective.losses(output, latents, noise, timesteps, 16).total.max() < 1e-10


def test_noise_does_not_degrade_with_the_latents_dtype(tiny_scheduler, example):
    """diffusers' add_noise casts the alphas: in bfloat16 the first timestep would get no noise at all."""
    latents, noise, _, _ = example
    first = torch.zeros(4, dtype=torch.long)
    noisy = Objective(tiny_scheduler).add_noise(latents.bfloat16(), noise.bfloat16(), first)
    assert noisy.dtype == torch.float32
    sigma = (noisy - latents.bfloat16().float()).std() / noise.std()
    assert abs(sigma / (1 - tiny_scheduler.alphas_cumprod[0]).sqrt() - 1) < 0.05
    cast = tiny_scheduler.add_noise(latents.bfloat16(), noise.bfloat16(), first)
    assert torch.equal(cast, latents.bfloat16())


def test_total_is_the_mean_over_channels_unless_weighted(tiny_scheduler, example):
    latents, noise, output, timesteps = example
    output[:, :, 16:] *= 3
    whole = Objective(tiny_scheduler).losses(output, latents, noise, timesteps, 32)
    halves = Objective(tiny_scheduler).losses(output, latents, noise, timesteps, 16)
    assert whole.dense is None
    torch.testing.assert_close(halves.total, whole.total)
    weighted = Objective(tiny_scheduler, dense_weight=0.5).losses(output, latents, noise, timesteps, 16)
    torch.testing.assert_close(weighted.total, (halves.video + 0.5 * halves.dense) / 1.5)


def test_a_scheduler_of_another_kind_is_refused(tiny_scheduler):
    epsilon = type(tiny_scheduler).from_config(tiny_scheduler.config, prediction_type="epsilon")
    with pytest.raises(ValueError, match="v_prediction"):
        Objective(epsilon)
