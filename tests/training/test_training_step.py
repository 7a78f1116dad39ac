"""A step's attention kernel on a CPU computes the same attention, and only where it pays; its rates and its seeds."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from accelerate import Accelerator

from udpdiff.model.base_parts import load_scheduler
from udpdiff.training.attention import training_attention
from udpdiff.training.data import SampleDraws, TrainingBatch, split_clips
from udpdiff.training.network import run_streams, starting_transformer
from udpdiff.training.step import Stepper, dropout_seed, learning_rate_at

CPU = torch.device("cpu")


def attend(dtype: torch.dtype = torch.bfloat16, **options) -> tuple[torch.Tensor, torch.Tensor, str]:
    """Attention's output, its gradient and the name of the node that computes the gradient."""
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 2, 24, 16, generator=generator).to(dtype) for _ in range(3))
    query.requires_grad_()
    output = F.scaled_dot_product_attention(query, key, value, **options)
    output.square().sum().backward()
    return output.detach(), query.grad.float(), type(output.grad_fn).__name__


def test_same_attention_by_another_kernel():
    output, gradient, kernel = attend()
    with training_attention(24, CPU, "bf16"):
        plain_output, plain_gradient, plain_kernel = attend(attn_mask=None, dropout_p=0.0, is_causal=False)
    assert kernel != plain_kernel
    torch.testing.assert_close(plain_output, output, atol=0.02, rtol=0.02)
    torch.testing.assert_close(plain_gradient, gradient, atol=0.05, rtol=0.05)


def test_it_rounds_as_autocast_does():
    with torch.autocast("cpu", torch.bfloat16):
        output, gradient, _ = attend(torch.float32)
        with training_attention(24, CPU, "bf16"):
            plain_output, plain_gradient, _ = attend(torch.float32)
    assert plain_output.dtype == output.dtype == torch.bfloat16
    torch.testing.assert_close(plain_output, output, atol=0.02, rtol=0.02)
    torch.testing.assert_close(plain_gradient, gradient, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("scale", [0.5, 0.25])
@pytest.mark.parametrize("masked", ["none", "padding", "causal"])
def test_masks_and_other_scales_are_heeded(masked, scale):
    padding = torch.arange(24) < 20
    options = {"none": {}, "padding": {"attn_mask": padding.expand(2, 2, 24, 24)}, "causal": {"is_causal": True}}[
        masked
    ]
    output, gradient, _ = attend(scale=scale, **options)
    with training_attention(24, CPU, "bf16"):
        plain_output, plain_gradient, _ = attend(scale=scale, **options)
    torch.testing.assert_close(plain_output, output, atol=0.02, rtol=0.02)
    torch.testing.assert_close(plain_gradient, gradient, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("tokens, device, precision", [(5000, "cpu", "bf16"), (24, "cuda", "bf16"), (24, "cpu", "no")])
def test_elsewhere_the_fused_kernel_stays(tokens, device, precision):
    kernel = attend()[2]
    with training_attention(tokens, torch.device(device), precision):
        assert attend()[2] == kernel


def test_gradient_checkpointing_computes_again_by_the_same_kernel(make_settings, make_source, base):
    """The kernel hangs on the settings alone, so accelerate, which has one precision per process, may stay in float32."""
    norms = []
    for checkpointing in (False, True):
        settings = make_settings(mixed_precision="bf16", gradient_checkpointing=checkpointing)
        transformer = starting_transformer(settings, base)
        streams, source = run_streams(settings, transformer), make_source("seg", "depth")
        clips, _ = split_clips(source, None, tuple(settings.tasks), 0)
        draws = SampleDraws(clips, settings.tasks, len(streams), settings.seed, settings.batch_size).of_step(0)
        stepper = Stepper(settings, transformer, load_scheduler(base), streams, Accelerator())
        stepper.step(TrainingBatch.read(source, draws, streams))
        norms.append(stepper.grad_norm)
    assert norms[0] == pytest.approx(norms[1], rel=1e-5)


def test_learning_rate_warms_up_and_falls(make_settings):
    cosine = make_settings(steps=100, warmup_steps=10, schedule="cosine", learning_rate=1.0)
    rates = [learning_rate_at(cosine, step) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * (step + 1) for step in range(10)])
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5, abs=0.02)
    assert rates[99] < 0.001
    assert learning_rate_at(make_settings(warmup_steps=10, learning_rate=1.0), 10**6) == 1.0


def test_dropout_has_a_valid_seed_of_its_own_in_every_step_and_process():
    assert dropout_seed(5, 7, 0, 1) == 5 * 2**32 + 7
    for seed in (0, 3_000_000_000, 2**100 + 1):
        seeds = {dropout_seed(seed, step, process, 8) for step in range(50) for process in range(8)}
        assert len(seeds) == 400
        assert all(seed in range(2**64) for seed in seeds)
        torch.manual_seed(max(seeds))
