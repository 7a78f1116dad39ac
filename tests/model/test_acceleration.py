"""diffusers' caches in our pipeline: that they are in it, save work, and leave nothing behind for the next call."""

from __future__ import annotations

import pytest
import torch
from diffusers import CogVideoXPipeline
from pipeline_calls import quiet, seeded

from udpdiff import UDPDiffPipeline
from udpdiff.model.acceleration import accelerate, mag_ratios
from udpdiff.model.expansion import expand_transformer

SIZE = {"height": 64, "width": 64, "num_frames": 9}
OPTIONS = SIZE | {"num_inference_steps": 10, "guidance_scale": 3.0, "output_type": "latent", "task": "depth"}
TASKS = {"seg": "pixelplanes", "depth": "spectral"}
PROMPTS = ["a red ball rolls", "the blue box falls"]
METHODS = {"first_block_cache": 10.0, "mag_cache": 10.0, "faster_cache": None}


@pytest.fixture(params=["2b_sincos", "1.5_rope"])
def pipeline(request, tiny_components, make_tiny_transformer) -> UDPDiffPipeline:
    transformer = expand_transformer(make_tiny_transformer(request.param), 2)
    with torch.no_grad():
        transformer.time_embedding.task_embedding.weight.normal_()
    return quiet(UDPDiffPipeline(**tiny_components, transformer=transformer, tasks=TASKS))


def sampled(pipeline, prompts=PROMPTS, **changes) -> tuple[torch.Tensor, torch.Tensor]:
    output = pipeline(prompts, generator=seeded(*range(len(prompts))), **OPTIONS | changes)
    return output.frames, output.dense["dense"].frames


class Attention:
    """Counts samples that pass the last block's attention: what a cache leaves out does not."""

    def __init__(self, transformer) -> None:
        self.samples = 0
        transformer.transformer_blocks[-1].attn1.to_q.register_forward_hook(self._count)

    def _count(self, module, inputs, output) -> None:
        self.samples += len(output)


@pytest.mark.parametrize("method, threshold", METHODS.items())
def test_a_cache_leaves_out_work_and_is_empty_for_the_next_call(pipeline, method, threshold):
    plain = sampled(pipeline)
    accelerate(pipeline, method, threshold, OPTIONS)
    work = Attention(pipeline.transformer)
    first = sampled(pipeline)
    assert 0 < work.samples < 10 * 2 * len(PROMPTS)
    assert all(torch.isfinite(stream).all() for stream in first)
    assert not all(map(torch.equal, first, plain))
    sampled(pipeline, ["a cube"], task="seg")  # another prompt, batch and task in between
    assert all(map(torch.equal, first, sampled(pipeline)))
    pipeline.transformer.disable_cache()
    assert all(map(torch.equal, plain, sampled(pipeline)))


@pytest.mark.parametrize("method, threshold", METHODS.items())
def test_the_noise_is_that_of_a_call_without_a_cache(pipeline, method, threshold):
    drawn = []
    seen = pipeline.transformer.register_forward_pre_hook(
        lambda module, args, kwargs: drawn.append(kwargs["hidden_states"].clone()), with_kwargs=True
    )
    sampled(pipeline)
    plain, count = drawn[0], len(drawn)
    seen.remove()
    accelerate(pipeline, method, threshold, OPTIONS)
    embed = pipeline.transformer.patch_embed.register_forward_pre_hook(lambda module, args: drawn.append(args[1]))
    sampled(pipeline)
    embed.remove()
    assert torch.equal(drawn[count], plain)


def test_caches_that_follow_no_activations_do_not_mind_the_batch(pipeline):
    for method, threshold in (("mag_cache", 0.1), ("faster_cache", None)):
        accelerate(pipeline, method, threshold, OPTIONS)
        together, alone = sampled(pipeline), sampled(pipeline, PROMPTS[:1])
        for several, one in zip(together, alone, strict=True):
            torch.testing.assert_close(several[:1], one, rtol=1e-4, atol=1e-4)
        pipeline.transformer.disable_cache()


def test_a_threshold_of_almost_nothing_computes_every_step(pipeline):
    plain = sampled(pipeline)
    for method in ("first_block_cache", "mag_cache"):
        accelerate(pipeline, method, 1e-9, OPTIONS)
        assert all(map(torch.equal, plain, sampled(pipeline)))
        pipeline.transformer.disable_cache()


def test_calibration_sees_every_step_and_leaves_no_cache(pipeline, capsys):
    ratios = mag_ratios(pipeline, OPTIONS)
    assert len(ratios) == 10 and ratios[0] == 1.0 and all(ratio > 0 for ratio in ratios)
    assert mag_ratios(pipeline, OPTIONS) == ratios
    assert not pipeline.transformer.is_cache_enabled and not capsys.readouterr().out


def test_without_guidance_faster_cache_leaves_out_attention_alone(pipeline):
    accelerate(pipeline, "faster_cache", None, OPTIONS | {"guidance_scale": 1.0})
    work = Attention(pipeline.transformer)
    video, dense = sampled(pipeline, guidance_scale=1.0)
    assert len(video) == len(dense) == len(PROMPTS)
    assert 0 < work.samples < 10 * len(PROMPTS)


def test_the_stock_pipeline_takes_them_too(tiny_components, tiny_transformer):
    pipeline = quiet(CogVideoXPipeline(**tiny_components, transformer=tiny_transformer))
    options = {name: value for name, value in OPTIONS.items() if name != "task"}
    options["max_sequence_length"] = 48
    accelerate(pipeline, "mag_cache", 10.0, options)
    work = Attention(tiny_transformer)
    pipeline(PROMPTS, generator=seeded(0, 1), **options)
    assert 0 < work.samples < 10 * 2 * len(PROMPTS)
