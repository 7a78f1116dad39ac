"""Optimizers that need less memory: AdamW's steps, state that is saved and read to the bit, and one error without a package."""

from __future__ import annotations

import copy
import io
import sys

import pytest
import torch
from safetensors.torch import load_file
from torch import distributed, nn

from udpdiff.training.loop import train
from udpdiff.training.optimizer import build_optimizer
from udpdiff.training.step import Stepper

PARTS = ("model_state_dict", "optim_state_dict")
FORMS = {"8bit": {"optimizer": "adamw_8bit"}, "offloaded": {"optimizer": "adamw", "offload_optimizer": True}}


@pytest.fixture(params=FORMS)
def form(request) -> dict:
    """Settings of each optimizer in turn."""
    if request.param == "8bit":
        pytest.importorskip("bitsandbytes", reason="AdamW in 8 bits needs bitsandbytes, the extra `adamw-8bit`")
    return FORMS[request.param]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(64, 128), nn.GELU(), nn.Linear(128, 16))


def optimizer_of(model: nn.Module, settings) -> torch.optim.Optimizer:
    return build_optimizer(model.named_parameters(), settings)


def do_steps(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    """Train on other numbers at every step, at a falling rate."""
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        loss = (
            (model(torch.randn(8, 64, generator=generator)) - torch.randn(8, 16, generator=generator)).square().mean()
        )
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 / (step + 1)
        optimizer.step()
        optimizer.zero_grad()


def after(settings, steps: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    model = network()
    optimizer = optimizer_of(model, settings)
    do_steps(model, optimizer, range(steps))
    return model, optimizer


def weights(model: nn.Module) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def test_offloaded_it_is_adamw_to_the_bit(make_settings):
    plain, optimizer = after(make_settings(), 4)
    offloaded, other = after(make_settings(offload_optimizer=True), 4)
    assert torch.equal(weights(plain), weights(offloaded))
    for name, weight in plain.named_parameters():
        state, host = optimizer.state[weight], other.state[offloaded.get_parameter(name)]
        assert state.keys() == host.keys() and all(torch.equal(state[key], host[key]) for key in state)


def test_in_8_bits_it_goes_where_adamw_goes_with_a_quarter_of_the_state(make_settings):
    pytest.importorskip("bitsandbytes", reason="AdamW in 8 bits needs bitsandbytes, the extra `adamw-8bit`")
    start = weights(network())
    plain, _ = after(make_settings(), 8)
    small, optimizer = after(make_settings(optimizer="adamw_8bit"), 8)
    moved = weights(plain) - start
    assert (weights(small) - weights(plain)).norm() < 0.02 * moved.norm()
    state = optimizer.state[small[0].weight]
    assert all(torch.is_tensor(value) for value in state.values())
    averages = [value for value in state.values() if value.numel() == small[0].weight.numel()]
    assert [value.dtype for value in averages] == [torch.uint8, torch.uint8]


def test_a_state_dict_is_saved_and_read_to_the_bit(form, make_settings):
    settings = make_settings(**form)
    model, optimizer = after(settings, 3)
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    do_steps(model, optimizer, range(3, 6))
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    again = network()
    again.load_state_dict(saved["model"])
    other = optimizer_of(again, settings)
    other.load_state_dict(saved["optimizer"])
    do_steps(again, other, range(3, 6))
    assert torch.equal(weights(again), weights(model))


def test_a_distributed_checkpoint_is_saved_and_read_to_the_bit(form, make_settings, tmp_path):
    from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict

    settings = make_settings(**form)
    model, optimizer = after(settings, 3)
    parts = dict(zip(PARTS, get_state_dict(model, optimizer), strict=True))
    distributed.checkpoint.save(parts, checkpoint_id=tmp_path, no_dist=True)
    do_steps(model, optimizer, range(3, 6))
    again = network()
    other = optimizer_of(again, settings)
    parts = dict(zip(PARTS, get_state_dict(again, other), strict=True))
    distributed.checkpoint.load(parts, checkpoint_id=tmp_path, no_dist=True)
    set_state_dict(again, other, **parts)
    do_steps(again, other, range(3, 6))
    assert torch.equal(weights(again), weights(model))


def test_offloaded_it_continues_what_adamw_began(make_settings):
    model, optimizer = after(make_settings(), 3)
    again = copy.deepcopy(model)
    other = optimizer_of(again, make_settings(offload_optimizer=True))
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    do_steps(model, optimizer, range(3, 6))
    do_steps(again, other, range(3, 6))
    assert torch.equal(weights(again), weights(model))


def test_a_resumed_run_equals_an_unbroken_one(form, tmp_path, monkeypatch, make_settings, make_source):
    settings = make_settings(tasks={"seg": 1.0}, steps=4, batch_size=2, checkpoint_every_steps=2, **form)
    train(settings, make_source("seg"), tmp_path / "whole", tmp_path / "whole_run")
    step = Stepper.step
    with monkeypatch.context() as patched:
        patched.setattr(Stepper, "step", lambda self, batch: 1 / 0 if self.steps_done == 3 else step(self, batch))
        with pytest.raises(ZeroDivisionError):
            train(settings, make_source("seg"), tmp_path / "parts", tmp_path / "parts_run")
    train(settings, make_source("seg"), tmp_path / "parts", tmp_path / "parts_run")
    one, other = (
        load_file(tmp_path / name / "transformer" / "diffusion_pytorch_model.safetensors")
        for name in ("whole_run", "parts_run")
    )
    assert one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_8_bits_without_bitsandbytes_are_refused_with_the_remedy(make_settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    monkeypatch.delitem(sys.modules, "udpdiff.training.adamw_8bit", raising=False)
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", None)
    with pytest.raises(ValueError, match=r"needs the package `bitsandbytes`(.|\n)*\[adamw-8bit\]"):
        optimizer_of(network(), make_settings(optimizer="adamw_8bit"))


@pytest.mark.parametrize("optimizer", ["adamw_8bit", "muon"])
def test_only_adamw_is_offloaded(make_settings, optimizer):
    with pytest.raises(ValueError, match=f"offload_optimizer true with optimizer '{optimizer}'"):
        make_settings(optimizer=optimizer, offload_optimizer=True)
