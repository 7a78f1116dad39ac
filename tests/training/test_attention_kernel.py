"""The kernel of training on a CPU computes the same attention, and only where it pays."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from udpdiff.training.attention_kernel import training_attention

CPU = torch.device("cpu")


def attend() -> tuple[torch.Tensor, torch.Tensor, str]:
    """Attention's output, its gradient and the name of the node that computes the gradient."""
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 2, 24, 16, generator=generator).bfloat16() for _ in range(3))
    query.requires_grad_()
    output = F.scaled_dot_product_attention(query, key, value)
    output.square().sum().backward()
    return output.detach().float(), query.grad.float(), type(output.grad_fn).__name__


def test_same_attention_by_another_kernel():
    output, gradient, kernel = attend()
    with training_attention(24, CPU, "bf16"):
        plain_output, plain_gradient, plain_kernel = attend()
    assert kernel != plain_kernel
    torch.testing.assert_close(plain_output, output, atol=0.02, rtol=0.02)
    torch.testing.assert_close(plain_gradient, gradient, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("tokens, device, precision", [(5000, "cpu", "bf16"), (24, "cuda", "bf16"), (24, "cpu", "no")])
def test_elsewhere_the_fused_kernel_stays(tokens, device, precision):
    kernel = attend()[2]
    with training_attention(tokens, torch.device(device), precision):
        assert attend()[2] == kernel
