"""The widened transformer: the parent's configuration survives, and task rows act as eq. (1) says."""

from __future__ import annotations

import inspect

import pytest
import torch
from diffusers import CogVideoXTransformer3DModel

from udpdiff.model.expansion import expand_transformer
from udpdiff.model.transformer import UDPDiffTransformer3DModel


@pytest.fixture
def widened(tiny_transformer):
    """A widened transformer whose two tasks differ."""
    transformer = expand_transformer(tiny_transformer, num_tasks=2)
    torch.manual_seed(5)
    torch.nn.init.normal_(transformer.time_embedding.task_embedding.weight)
    return transformer


def forward(transformer, task_ids=None, batch_size: int = 2) -> torch.Tensor:
    """Run one forward in which every row of the batch has the same latents, text and timestep."""
    generator = torch.Generator().manual_seed(7)
    latents = torch.randn(1, 3, 32, 16, 16, generator=generator).expand(batch_size, -1, -1, -1, -1)
    text = torch.randn(1, 48, 32, generator=generator).expand(batch_size, -1, -1)
    kwargs = {} if task_ids is None else {"attention_kwargs": {"task_ids": torch.tensor(task_ids)}}
    return transformer(latents, text, torch.full((batch_size,), 500), **kwargs).sample


def test_signature_is_the_parents_plus_our_own():
    parent = inspect.signature(CogVideoXTransformer3DModel.__init__).parameters
    ours = inspect.signature(UDPDiffTransformer3DModel.__init__).parameters
    assert {name: ours[name].default for name in set(ours) - set(parent)} == {
        "num_tasks": 2,
        "num_streams": 2,
        "independent_timesteps": False,
    }
    assert set(parent) <= set(ours)
    doubled = {"in_channels", "out_channels"}
    assert {name: ours[name].default for name in set(parent) - doubled} == {
        name: parent[name].default for name in set(parent) - doubled
    }
    assert all(ours[name].default == 2 * parent[name].default for name in doubled)


def test_save_and_load_keep_configuration_and_weights(family, make_tiny_transformer, tmp_path):
    base = make_tiny_transformer(family)
    transformer = expand_transformer(base, num_tasks=3, num_streams=4, independent_timesteps=True)
    for embedding in (transformer.time_embedding.task_embedding, *transformer.time_embedding.stream_projections):
        torch.nn.init.normal_(embedding.weight)
    transformer.save_pretrained(tmp_path)
    loaded, info = UDPDiffTransformer3DModel.from_pretrained(tmp_path, output_loading_info=True)
    private = {"_name_or_path", "_use_default_values"}
    assert {k: v for k, v in loaded.config.items() if k not in private} == {
        k: v for k, v in transformer.config.items() if k not in private
    }
    assert (loaded.config.num_tasks, loaded.config.num_streams, loaded.config.in_channels) == (3, 4, 64)
    assert loaded.config.independent_timesteps and len(loaded.time_embedding.stream_projections) == 3
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert all(torch.equal(tensor, loaded.state_dict()[key]) for key, tensor in transformer.state_dict().items())


@torch.no_grad()
def test_each_task_id_reaches_its_own_row_of_the_batch(widened):
    none, seg, depth = (forward(widened, ids) for ids in (None, [0, 0], [1, 1]))
    mixed = forward(widened, [1, 0])
    assert not torch.allclose(none, seg, atol=1e-4) and not torch.allclose(seg, depth, atol=1e-4)
    torch.testing.assert_close(mixed, torch.stack((depth[0], seg[0])))


@torch.no_grad()
def test_guidance_doubles_the_batch_and_the_ids_follow(widened):
    tiled = forward(widened, [0, 1], batch_size=4)
    torch.testing.assert_close(tiled, forward(widened, [0, 1, 0, 1], batch_size=4), atol=0, rtol=0)
    assert not torch.allclose(tiled[0], tiled[1], atol=1e-4)


def test_without_task_embedding_the_state_dict_is_the_parents(tiny_transformer):
    single = expand_transformer(tiny_transformer, num_tasks=0)
    assert set(single.state_dict()) == set(tiny_transformer.state_dict())
    with pytest.raises(ValueError, match="num_tasks=0"):
        forward(single, [0, 0])


def test_gradient_checkpointing_gives_the_same_gradients(widened):
    widened.train()
    gradients = []
    for enabled in (False, True):
        widened.enable_gradient_checkpointing() if enabled else widened.disable_gradient_checkpointing()
        widened.zero_grad()
        forward(widened, [0, 1]).square().mean().backward()
        gradients.append({name: parameter.grad.clone() for name, parameter in widened.named_parameters()})
    for name, gradient in gradients[0].items():
        assert torch.isfinite(gradient).all() and gradient.abs().max() > 0, name
        torch.testing.assert_close(gradient, gradients[1][name])


def test_task_embedding_learns_from_its_zero_start(tiny_transformer):
    transformer = expand_transformer(tiny_transformer, num_tasks=2)
    forward(transformer, [1, 1]).square().mean().backward()
    gradient = transformer.time_embedding.task_embedding.weight.grad
    assert gradient[0].abs().max() == 0 and gradient[1].abs().max() > 0


@torch.no_grad()
def test_forward_compiles_without_a_graph_break(widened):
    compiled = torch.compile(widened, backend="eager", fullgraph=True)
    torch.testing.assert_close(forward(compiled, [0, 1]), forward(widened, [0, 1]))


@torch.no_grad()
def test_lora_scale_still_travels_beside_the_task_ids(widened):
    ids = torch.tensor([0, 1])
    latents, text, timestep = torch.zeros(2, 3, 32, 16, 16), torch.zeros(2, 48, 32), torch.tensor([9, 9])
    kwargs = {"task_ids": ids, "scale": 1.0}
    scaled = widened(latents, text, timestep, attention_kwargs=kwargs).sample
    assert set(kwargs) == {"task_ids", "scale"}
    assert torch.equal(scaled, widened(latents, text, timestep, attention_kwargs={"task_ids": ids}).sample)


def test_lora_adapters_train_beside_the_task_embedding(widened):
    peft = pytest.importorskip("peft")
    widened.add_adapter(peft.LoraConfig(r=2, target_modules=["to_q", "to_v"]))
    forward(widened, [0, 1]).square().mean().backward()
    assert any("lora" in name and parameter.grad is not None for name, parameter in widened.named_parameters())


@pytest.mark.parametrize("task_ids", [[0, 1, 0], [[0], [1]], [0.0, 1.0]])
def test_ids_that_cannot_match_the_batch_are_refused(widened, task_ids):
    with pytest.raises(ValueError, match="expected integers of shape"):
        forward(widened, task_ids)


def test_timestep_cond_is_refused_because_the_seam_carries_the_ids(widened):
    with pytest.raises(ValueError, match="task_ids"):
        widened(torch.zeros(1, 3, 32, 16, 16), torch.zeros(1, 48, 32), 500, timestep_cond=torch.zeros(1, 32))
