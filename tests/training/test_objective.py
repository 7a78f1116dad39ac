"""The loss against diffusers' own formulation, the identity behind eq. (2), and streams at levels of their own."""

from __future__ import annotations

import pytest
import torch

from udpdiff.model.streams import Streams
from udpdiff.training.objective import Objective

VIDEO = Streams.in_turn((), channels=32)
PAIR = Streams.in_turn(("seg",), channels=16)


@pytest.fixture
def example():
    generator = torch.Generator().manual_seed(0)
    latents, noise, output = (torch.randn(4, 3, 32, 4, 4, generator=generator) for _ in range(3))
    return latents, noise, output, torch.tensor([0, 250, 600, 998])


def equal_columns(timesteps: torch.Tensor, streams: Streams) -> torch.Tensor:
    return timesteps[:, None].expand(-1, len(streams))


def test_noise_and_target_are_those_of_diffusers_in_float32(tiny_scheduler, example):
    latents, noise, _, timesteps = example
    objective, columns = Objective(tiny_scheduler, PAIR), equal_columns(timesteps, PAIR)
    noisy, velocity = objective.add_noise(latents, noise, columns), objective.velocity(latents, noise, columns)
    torch.testing.assert_close(noisy, tiny_scheduler.add_noise(latents, noise, timesteps))
    torch.testing.assert_close(velocity, tiny_scheduler.get_velocity(latents, noise, timesteps))


def test_equal_columns_give_the_bits_of_one_timestep_for_all_channels(tiny_scheduler, example):
    latents, noise, _, timesteps = example
    pair, one = Objective(tiny_scheduler, PAIR), Objective(tiny_scheduler, VIDEO)
    columns = equal_columns(timesteps, PAIR)
    for name in ("add_noise", "velocity"):
        got = getattr(pair, name)(latents, noise, columns)
        assert torch.equal(got, getattr(one, name)(latents, noise, columns[:, :1]))
    assert torch.equal(got[:, :, 16:], pair.velocity(latents, noise, columns.flip(1))[:, :, 16:])


def test_each_stream_has_the_noise_of_its_own_timestep(tiny_scheduler, example):
    latents, noise, output, timesteps = example
    objective, single = Objective(tiny_scheduler, PAIR), Objective(tiny_scheduler, Streams.in_turn((), channels=16))
    columns = torch.stack((timesteps, timesteps.flip(0)), dim=1)
    noisy = PAIR.split(objective.add_noise(latents, noise, columns))
    losses = objective.losses(output, latents, noise, columns)
    parts = [PAIR.split(tensor) for tensor in (output, latents, noise)]
    for number, name in enumerate(PAIR.names):
        alone = [part[name] for part in parts]
        own = columns[:, number : number + 1]
        assert torch.equal(noisy[name], single.add_noise(alone[1], alone[2], own))
        assert torch.equal(losses.by_stream[name], single.losses(*alone, own).total)


def test_v_loss_equals_the_weighted_x0_loss_of_diffusers_trainer(tiny_scheduler, example):
    latents, noise, output, timesteps = example
    noisy = tiny_scheduler.add_noise(latents, noise, timesteps)
    # The trainer of diffusers: x0 from get_velocity(output, x_t), its squared error divided by 1 - a_t.
    predicted = tiny_scheduler.get_velocity(output.double(), noisy.double(), timesteps)
    weights = 1 / (1 - tiny_scheduler.alphas_cumprod[timesteps].double())
    expected = ((predicted - latents.double()) ** 2).flatten(1).mean(1) * weights
    got = Objective(tiny_scheduler, VIDEO).losses(output, latents, noise, equal_columns(timesteps, VIDEO)).total
    torch.testing.assert_close(got.double(), expected, rtol=2e-4, atol=0)


def test_eps_weighted_is_alpha_times_v(tiny_scheduler, example):
    latents, noise, output, timesteps = example
    arguments = (output, latents, noise, equal_columns(timesteps, PAIR))
    v, eps = (Objective(tiny_scheduler, PAIR, kind).losses(*arguments) for kind in ("v", "eps_weighted"))
    alphas = tiny_scheduler.alphas_cumprod[timesteps].float()
    for name in PAIR.names:
        torch.testing.assert_close(eps.by_stream[name], alphas * v.by_stream[name], rtol=1e-3, atol=1e-6)


def test_a_perfect_output_has_no_loss(tiny_scheduler, example):
    latents, noise, _, timesteps = example
    for kind in ("v", "eps_weighted"):
        objective, columns = Objective(tiny_scheduler, PAIR, kind), equal_columns(timesteps, PAIR)
        output = objective.velocity(latents, noise, columns)
        assert objective.losses(output, latents, noise, columns).total.max() < 1e-10


def test_noise_does_not_degrade_with_the_latents_dtype(tiny_scheduler, example):
    """diffusers' add_noise casts the alphas: in bfloat16 the first timestep would get no noise at all."""
    latents, noise, _, _ = example
    first = torch.zeros(4, dtype=torch.long)
    noisy = Objective(tiny_scheduler, PAIR).add_noise(latents.bfloat16(), noise.bfloat16(), equal_columns(first, PAIR))
    assert noisy.dtype == torch.float32
    sigma = (noisy - latents.bfloat16().float()).std() / noise.std()
    assert abs(sigma / (1 - tiny_scheduler.alphas_cumprod[0]).sqrt() - 1) < 0.05
    cast = tiny_scheduler.add_noise(latents.bfloat16(), noise.bfloat16(), first)
    assert torch.equal(cast, latents.bfloat16())


def test_total_is_the_mean_over_channels_unless_weighted(tiny_scheduler, example):
    latents, noise, output, timesteps = example
    output[:, :, 16:] *= 3

    def losses(streams: Streams):
        return Objective(tiny_scheduler, streams).losses(output, latents, noise, equal_columns(timesteps, streams))

    whole, halves = losses(VIDEO), losses(PAIR)
    assert whole.by_stream.keys() == {"video"}
    torch.testing.assert_close(halves.total, whole.total)
    weighted = losses(Streams.in_turn(("seg",), channels=16, dense_weight=0.5))
    # The very operations of the paper's case: its weights must not depend on how many streams there could be.
    assert torch.equal(weighted.total, (halves.by_stream["video"] + 0.5 * halves.by_stream["dense"]) / 1.5)


def test_a_scheduler_of_another_kind_is_refused(tiny_scheduler):
    epsilon = type(tiny_scheduler).from_config(tiny_scheduler.config, prediction_type="epsilon")
    with pytest.raises(ValueError, match="v_prediction"):
        Objective(epsilon, PAIR)
