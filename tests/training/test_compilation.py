"""Compiled blocks give the losses of plain ones and leave names alone."""

from __future__ import annotations

import shutil

import pytest
import torch

from udpdiff.model.expansion import expand_transformer
from udpdiff.training.compilation import compile_blocks

LATENTS, PROMPTS = (1, 4, 32, 16, 16), (1, 48, 32)


def losses(transformer, steps: int = 2) -> list[float]:
    """Losses of a few steps of plain descent; weights move in place."""
    values = []
    for step in range(steps):
        generator = torch.Generator().manual_seed(step)
        noisy, prompts = (torch.randn(shape, generator=generator) for shape in (LATENTS, PROMPTS))
        output = transformer(noisy, prompts, torch.tensor([500]), return_dict=False)[0]
        loss = (output - noisy).square().mean()
        loss.backward()
        with torch.no_grad():
            for weight in transformer.parameters():
                weight -= 0.05 * weight.grad
                weight.grad = None
        values.append(loss.item())
    return values


@pytest.mark.skipif(not (shutil.which("g++") or shutil.which("c++")), reason="torch.compile needs a C++ compiler")
def test_compiled_blocks_train_as_plain_ones(make_tiny_transformer):
    base = make_tiny_transformer("2b_sincos")
    del base.transformer_blocks[1]
    plain, compiled = (expand_transformer(base, num_tasks=0).train() for _ in range(2))
    names = list(compiled.state_dict())
    compile_blocks(compiled)
    assert losses(compiled) == pytest.approx(losses(plain), abs=1e-5)
    assert list(compiled.state_dict()) == names
    counted = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    assert counted, "nothing was compiled"
