"""Muon and AdamW side by side: which weights get which, and two steps of each by their formulas."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from udpdiff.training.muon import MuonAdam, orthogonalise
from udpdiff.training.optimizer import split_parameters


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(3, 8, 24), (3, 24, 8), (2, 16, 16)])
def test_singular_values_come_near_one_and_directions_stay(shape):
    matrices = random(*shape)
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    turned = left.mT @ orthogonalise(matrices) @ right.mT  # diagonal, if the directions are kept
    values = turned.diagonal(dim1=1, dim2=2)
    assert (values > 0.1).all() and (values < 1.9).all()
    torch.testing.assert_close(turned, torch.diag_embed(values), atol=1e-4, rtol=0)
    torch.testing.assert_close(orthogonalise(100 * matrices), orthogonalise(matrices), atol=1e-4, rtol=0)


@pytest.mark.parametrize("shape", [(6, 4), (3, 2, 2, 2)])
def test_two_steps_by_nesterovs_momentum_with_decay(shape):
    weight = nn.Parameter(random(*shape, seed=1))
    alike = nn.Parameter(random(*shape, seed=2))  # taken together with the first, and yet on its own
    optimizer = MuonAdam([weight, alike], [], lr=0.1, momentum=0.9, weight_decay=0.5)
    expected, average = weight.detach().clone(), torch.zeros(shape)
    rows, columns = shape[0], weight[0].numel()
    for step in (3, 4):
        gradient = random(*shape, seed=step)
        weight.grad, alike.grad = gradient.clone(), random(*shape, seed=step + 10)
        optimizer.step()
        average = 0.9 * average + 0.1 * gradient
        ahead = (0.1 * gradient + 0.9 * average).reshape(1, rows, columns)
        update = orthogonalise(ahead.bfloat16())[0].reshape(shape).float()
        expected = expected * (1 - 0.1 * 0.5) - 0.2 * max(rows, columns) ** 0.5 * 0.1 * update
        torch.testing.assert_close(weight.detach(), expected, atol=1e-3, rtol=0)


def test_the_others_are_adamws_at_a_rate_of_their_own():
    ours, theirs = (nn.Parameter(random(5, seed=1)) for _ in range(2))
    optimizer = MuonAdam([], [ours], lr=0.1, weight_decay=0.5, adam_ratio=0.5)
    adamw = torch.optim.AdamW([theirs], lr=0.05, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.5)
    for step in range(3):
        for weight, each in ((ours, optimizer), (theirs, adamw)):
            weight.grad = random(5, seed=step + 2)
            each.step()
    torch.testing.assert_close(ours, theirs)


def test_matrices_inside_the_blocks_are_muons_and_nothing_else():
    shapes = {
        "transformer_blocks.0.attn1.to_q.weight": (4, 4),
        "transformer_blocks.0.attn1.to_q.bias": (4,),
        "transformer_blocks.0.attn1.norm_q.weight": (4,),
        "transformer_blocks.0.norm1.linear.weight": (8, 4),  # the gates
        "transformer_blocks.1.ff.net.2.weight": (4, 16),
        "encoder.block.0.layer.0.SelfAttention.q.weight": (4, 4),
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (32, 2),
        "patch_embed.proj.weight": (4, 8, 2, 2),
        "patch_embed.text_proj.weight": (4, 8),
        "time_embedding.linear_1.weight": (4, 4),
        "time_embedding.task_embedding.weight": (2, 4),
        "proj_out.weight": (8, 4),
    }
    named = {name: nn.Parameter(torch.zeros(shape)) for name, shape in shapes.items()}
    matrices, others = split_parameters(named.items())
    of_muon = [name for name, weight in named.items() if any(weight is matrix for matrix in matrices)]
    assert of_muon == [
        "transformer_blocks.0.attn1.to_q.weight",
        "transformer_blocks.1.ff.net.2.weight",
        "encoder.block.0.layer.0.SelfAttention.q.weight",
    ]
    assert len(matrices) + len(others) == len(shapes)
