"""Widening: exact no-op at the start, and each initialisation is what its name says."""

from __future__ import annotations

import pytest
import torch

from udpdiff.model.expansion import expand_transformer


def transformer_inputs(transformer, batch_size: int = 2, channels: int = 32) -> dict:
    """Return random inputs of a forward for one tiny transformer of any family."""
    generator = torch.Generator().manual_seed(7)
    frames = 4 if transformer.config.patch_size_t else 3
    tokens = 16 * frames // (transformer.config.patch_size_t or 1)
    angles = torch.randn(tokens, 16, generator=generator)
    rotary = transformer.config.use_rotary_positional_embeddings
    return {
        "hidden_states": torch.randn(batch_size, frames, channels, 16, 16, generator=generator),
        "encoder_hidden_states": torch.randn(batch_size, 48, 32, generator=generator),
        "timestep": torch.linspace(999, 100, batch_size).long(),
        "image_rotary_emb": (angles.cos(), angles.sin()) if rotary else None,
    }


@torch.no_grad()
def test_zero_in_copy_out_reproduces_the_base_bit_for_bit(family, make_tiny_transformer):
    base = make_tiny_transformer(family)
    widened = expand_transformer(base, num_tasks=2, init_in="zero", init_out="copy")
    inputs = transformer_inputs(base)
    output = widened(**inputs, attention_kwargs={"task_ids": torch.tensor([0, 1])}).sample
    expected = base(**inputs | {"hidden_states": inputs["hidden_states"][:, :, :16]}).sample
    assert torch.equal(output[:, :, :16], expected)
    assert torch.equal(output[:, :, 16:], expected)  # copied rows, zero input: the dense half starts as the video half


@torch.no_grad()
@pytest.mark.parametrize("init_in", ["copy", "half"])
def test_copy_adds_the_dense_latents_and_half_averages_them(family, init_in, make_tiny_transformer):
    base = make_tiny_transformer(family)
    widened = expand_transformer(base, num_tasks=2, init_in=init_in)
    inputs = transformer_inputs(base)
    video, dense = inputs["hidden_states"].chunk(2, dim=2)
    mixed = video + dense if init_in == "copy" else (video + dense) / 2
    expected = base(**inputs | {"hidden_states": mixed}).sample
    torch.testing.assert_close(widened(**inputs).sample[:, :, :16], expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_resampled_output_channels_are_original_ones_with_repeats(family, make_tiny_transformer):
    base = make_tiny_transformer(family)
    generator = torch.Generator().manual_seed(3)
    widened = expand_transformer(base, 2, init_out="resample", generator=generator)
    video, dense = widened(**transformer_inputs(base)).sample.chunk(2, dim=2)
    same = (
        (dense[:, :, :, None] == video[:, :, None]).flatten(4).all(-1).all(0).all(0)
    )  # [dense channel, video channel]
    assert same.any(dim=1).all()
    assert not same.any(dim=0).all()  # with replacement, this seed leaves some channel out


def test_resampled_input_channels_are_original_ones(make_tiny_transformer):
    base = make_tiny_transformer("5b_rope")
    weights = [
        expand_transformer(
            base, 2, init_in="resample", generator=torch.Generator().manual_seed(seed)
        ).patch_embed.proj.weight
        for seed in (0, 0, 1)
    ]
    video, dense = weights[0].chunk(2, dim=1)
    assert torch.equal(video, base.patch_embed.proj.weight)
    same = (dense[:, :, None] == video[:, None]).flatten(3).all(-1).all(0)
    assert same.any(dim=1).all()
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@torch.no_grad()
def test_zero_out_starts_the_dense_half_at_zero(family, make_tiny_transformer):
    base = make_tiny_transformer(family)
    output = expand_transformer(base, 2, init_out="zero")(**transformer_inputs(base)).sample
    assert output[:, :, :16].abs().max() > 0
    assert output[:, :, 16:].abs().max() == 0


@torch.no_grad()
def test_orthogonal_directions_are_read_and_written_by_the_dense_half_alone(family, make_tiny_transformer):
    base = make_tiny_transformer(family, num_attention_heads=96)
    widened = expand_transformer(base, 2, "orthogonal", "orthogonal", torch.Generator().manual_seed(0))
    values = len(base.proj_out.weight)
    dense_in = widened.patch_embed.proj.weight.detach().flatten(1)[:, values:]
    dense_out = widened.proj_out.weight.detach()[values:]
    assert dense_in.shape[1] == len(dense_out) == values
    for used in (base.patch_embed.proj.weight.flatten(1).T, base.proj_out.weight):
        assert (used @ dense_in).abs().max() < 1e-4 and (used @ dense_out.T).abs().max() < 1e-4
    through = dense_out @ dense_in  # each value arrives where it came from, and nowhere else
    torch.testing.assert_close(through, through.diagonal().mean() * torch.eye(values), atol=1e-4, rtol=0)
    assert through.diagonal().mean() > 0
    # A faint way in and a strong way out, of the size of the video's weights.
    for weight, added, scale in (
        (base.patch_embed.proj.weight.flatten(1).T, dense_in.T, 0.3),
        (base.proj_out.weight, dense_out, 1.5),
    ):
        size = weight.square().sum(1).mean().sqrt()
        torch.testing.assert_close(added.norm(dim=1), torch.full((values,), float(scale * size)))
    assert torch.equal(widened.proj_out.weight[:values], base.proj_out.weight)


@torch.no_grad()
@pytest.mark.parametrize("num_streams", [3, 4])
def test_streams_beyond_the_second_get_draws_of_their_own(family, num_streams, make_tiny_transformer):
    base = make_tiny_transformer(family, num_attention_heads=160)
    values = len(base.proj_out.weight)
    for init in ("resample", "orthogonal"):
        two, more = (
            expand_transformer(base, 2, init, init, torch.Generator().manual_seed(0), num_streams=number)
            for number in (2, num_streams)
        )
        assert (more.config.in_channels, more.config.out_channels) == (16 * num_streams, 16 * num_streams)
        ways_in, ways_out = more.patch_embed.proj.weight.flatten(1).T, more.proj_out.weight
        assert torch.equal(ways_in[:values], two.patch_embed.proj.weight.flatten(1).T[:values])
        assert torch.equal(ways_out[:values], base.proj_out.weight)
        for ways in (ways_in, ways_out):
            streams = ways.reshape(num_streams, values, -1)
            assert all(not torch.equal(streams[i], streams[j]) for i in range(num_streams) for j in range(i))
    directions = torch.cat((ways_in[values:], ways_in[:values]))
    overlap = ways_out[values:] @ directions.T  # of what each dense value is read from, with what writes all values
    torch.testing.assert_close(overlap, torch.eye(*overlap.shape) * overlap.diagonal().mean(), atol=1e-4, rtol=0)


@torch.no_grad()
def test_zero_in_reproduces_the_base_in_every_stream(family, make_tiny_transformer):
    base = make_tiny_transformer(family)
    inputs = transformer_inputs(base, channels=48)
    expected = base(**inputs | {"hidden_states": inputs["hidden_states"][:, :, :16]}).sample
    widened = expand_transformer(base, 2, num_streams=3, independent_timesteps=True)
    timestep = torch.stack([inputs["timestep"], inputs["timestep"] // 2, inputs["timestep"] // 3], dim=1)
    for part in widened(**inputs | {"timestep": timestep}).sample.chunk(3, dim=2):
        assert torch.equal(part, expected)
    halves = expand_transformer(base, 2, "half", num_streams=3).patch_embed.proj.weight
    torch.testing.assert_close(halves, torch.cat([base.patch_embed.proj.weight / 3] * 3, dim=1))


def test_base_is_left_alone_and_shares_no_storage(family, make_tiny_transformer):
    base = make_tiny_transformer(family).to(torch.bfloat16)
    before = {name: tensor.clone() for name, tensor in base.state_dict().items()}
    widened = expand_transformer(base, 2)
    with torch.no_grad():
        for parameter in widened.parameters():
            parameter.add_(1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in base.state_dict().items())
    assert {parameter.dtype for parameter in widened.parameters()} == {torch.bfloat16}
    assert {tensor.device.type for tensor in [*widened.parameters(), *widened.buffers()]} == {"cpu"}
    assert all(parameter.requires_grad for parameter in widened.parameters())
    assert not widened.training


def test_errors_say_what_to_do(tiny_transformer):
    with pytest.raises(ValueError, match="init_in: got 'ones', expected one of"):
        expand_transformer(tiny_transformer, 2, init_in="ones")
    with pytest.raises(ValueError, match="init_out: got 'half', expected one of"):
        expand_transformer(tiny_transformer, 2, init_out="half")
    with pytest.raises(ValueError, match=r"expected a seeded torch.Generator"):
        expand_transformer(tiny_transformer, 2, init_in="resample")
    with pytest.raises(ValueError, match="no free directions"):
        expand_transformer(tiny_transformer, 2, "orthogonal", generator=torch.Generator())
    with pytest.raises(ValueError, match="widened already"):
        expand_transformer(expand_transformer(tiny_transformer, 2), 2)
