"""A noise level for each stream: equal ones are the paper's model bit for bit, others count once it has learnt."""

from __future__ import annotations

import pytest
import torch

from udpdiff.model.expansion import expand_transformer


def call(transformer, timestep, **attention_kwargs):
    """One forward of a batch of 2 with fixed latents."""
    generator = torch.Generator().manual_seed(7)
    frames = 4 if transformer.config.patch_size_t else 3
    tokens = 16 * frames // (transformer.config.patch_size_t or 1)
    angles = torch.randn(tokens, 16, generator=generator)
    rotary = (angles.cos(), angles.sin()) if transformer.config.use_rotary_positional_embeddings else None
    latents = torch.randn(2, frames, transformer.config.in_channels, 16, 16, generator=generator)
    text = torch.randn(2, 48, 32, generator=generator)
    kwargs = {"image_rotary_emb": rotary, "attention_kwargs": {"task_ids": torch.tensor([0, 1])} | attention_kwargs}
    return transformer(latents, text, torch.tensor(timestep), **kwargs).sample


@pytest.fixture
def pair(family, make_tiny_transformer):
    """One base widened as in the paper, and with noise levels of its own whose projection has learnt something."""
    base = make_tiny_transformer(family)
    transformers = [expand_transformer(base, 2, "copy", independent_timesteps=own) for own in (False, True)]
    for transformer in transformers:
        torch.manual_seed(3)
        torch.nn.init.normal_(transformer.time_embedding.task_embedding.weight)
    torch.nn.init.normal_(transformers[1].time_embedding.stream_projections[0].weight)
    return transformers


@torch.no_grad()
def test_equal_timesteps_are_the_papers_model_bit_for_bit(pair):
    today, independent = pair
    expected = call(today, [999, 100])
    assert torch.equal(call(independent, [999, 100]), expected)
    for transformer in pair:
        assert torch.equal(call(transformer, [[999, 999], [100, 100]]), expected)


def test_output_and_gradients_answer_to_the_dense_timestep(pair):
    independent = pair[1]
    outputs, gradients = [], []
    for dense in (100, 500):
        independent.zero_grad()
        outputs.append(call(independent, [[999, dense], [100, 100]]))
        outputs[-1].square().mean().backward()
        gradients.append({name: value.grad.clone() for name, value in independent.named_parameters()})
    assert (outputs[0][0] - outputs[1][0]).abs().max() > 1e-4
    assert torch.equal(outputs[0][1], outputs[1][1])  # whose timesteps are equal
    for name, gradient in gradients[0].items():
        assert torch.isfinite(gradient).all() and not torch.equal(gradient, gradients[1][name]), name


def test_the_projection_learns_from_its_zero_start(tiny_transformer):
    transformer = expand_transformer(tiny_transformer, 2, independent_timesteps=True)
    start = call(transformer, [[999, 0], [500, 0]])
    assert torch.equal(start, call(transformer, [999, 500]))
    start.square().mean().backward()
    assert transformer.time_embedding.stream_projections[0].weight.grad.abs().max() > 0


@torch.no_grad()
def test_a_condition_takes_the_place_of_its_stream_at_timestep_zero(pair):
    independent = pair[1]
    frames = 4 if independent.config.patch_size_t else 3
    clean = torch.randn(1, frames, 16, 16, 16, generator=torch.Generator().manual_seed(1))
    given = call(independent, [999, 999], conditions={1: clean})
    hook = independent.register_forward_pre_hook(
        lambda _, inputs: (torch.cat((inputs[0][:, :, :16], clean.expand(2, -1, -1, -1, -1)), 2), *inputs[1:])
    )
    assert torch.equal(call(independent, [[999, 0], [999, 0]]), given)
    hook.remove()
    assert not torch.allclose(call(independent, [[999, 0], [999, 0]]), given, atol=1e-4)


def test_a_model_without_them_says_how_to_build_one(tiny_transformer):
    transformer = expand_transformer(tiny_transformer, 2)
    with pytest.raises(ValueError, match=r"expand_transformer\(..., independent_timesteps=True\)"):
        call(transformer, [[999, 100], [500, 500]])


@pytest.mark.parametrize("timestep", [[[999], [100]], [[999, 999, 999], [1, 1, 1]], [[999, 999]]])
def test_timesteps_of_another_shape_are_refused(tiny_transformer, timestep):
    transformer = expand_transformer(tiny_transformer, 2, independent_timesteps=True)
    with pytest.raises(ValueError, match=r"expected \(2,\) or \(2, 2\)"):
        call(transformer, timestep)
