"""Calls and parts that stock code takes, and makes something wrong of: refused by name, or done right."""

from __future__ import annotations

import inspect
import itertools
import math

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    CogVideoXDDIMScheduler,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
)
from diffusers.callbacks import PipelineCallback
from pipeline_calls import quiet, seeded

from udpdiff import UDPDiffPipeline
from udpdiff.model.expansion import expand_transformer
from udpdiff.model.noise import paired_latents

TASKS = {"seg": "pixelplanes", "depth": "spectral"}
CALL = {"num_inference_steps": 2, "guidance_scale": 3.0, "output_type": "latent"}
# As the hub's CogVideoX-2b has it: every key is named.
PUBLISHED_2B = {
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "set_alpha_to_one": True,
    "snr_shift_scale": 3.0,
    "timestep_spacing": "trailing",
}


@pytest.fixture
def widened(tiny_transformer):
    transformer = expand_transformer(tiny_transformer, num_tasks=2, init_in="copy")
    torch.manual_seed(5)
    torch.nn.init.normal_(transformer.time_embedding.task_embedding.weight)
    return transformer


@pytest.fixture
def pipeline(tiny_components, widened):
    return quiet(UDPDiffPipeline(**tiny_components, transformer=widened, tasks=TASKS))


def both(output) -> tuple[torch.Tensor, torch.Tensor]:
    return output.frames, output.dense["dense"].frames


# Values that are not finite


def overflowing(transformer):
    """The same in half precision, with weights that leave its range."""
    transformer.half()
    torch.nn.init.constant_(transformer.proj_out.bias, 60000)
    transformer.proj_out.weight.data.mul_(1e4)
    return transformer


def in_half(components: dict) -> dict:
    """Copies in half precision."""
    vae, encoder = components["vae"], components["text_encoder"]
    copies = AutoencoderKLCogVideoX.from_config(vae.config), type(encoder)(encoder.config)
    for copy, own in zip(copies, (vae, encoder), strict=True):
        copy.load_state_dict(own.state_dict())
    return components | {"vae": copies[0].half().eval(), "text_encoder": copies[1].half().eval()}


@pytest.mark.parametrize("output_type", ["latent", "np"])
def test_a_transformer_that_overflows_stops_the_call_at_that_step(tiny_components, widened, output_type):
    pipeline = quiet(UDPDiffPipeline(**in_half(tiny_components), transformer=overflowing(widened), tasks=TASKS))
    with pytest.raises(ValueError, match=r"dtype: got 'float16'.*latents after step 1 of 2.*bfloat16"):
        pipeline("a ball", task="depth", generator=seeded(1), **CALL | {"output_type": output_type})


def test_a_callback_that_breaks_the_latents_stops_the_call(pipeline):
    class Breaks(PipelineCallback):
        tensor_inputs = ("latents",)

        def callback_fn(self, pipe, step, timestep, tensors):
            return {"latents": tensors["latents"] / 0}

    for callback in (
        Breaks(cutoff_step_ratio=None, cutoff_step_index=0),
        lambda pipe, i, t, own: {"latents": own["latents"] / 0},
    ):
        with pytest.raises(ValueError, match=r"'float32'.*after step 1 of 2"):
            pipeline("a ball", task="seg", callback_on_step_end=callback, **CALL)


def test_a_callback_gets_the_tensors_that_it_named(pipeline):
    seen = []

    def note(pipe, step, timestep, tensors):
        seen.append(set(tensors))
        return {}

    names = ["prompt_embeds"]
    pipeline("a ball", task="seg", callback_on_step_end=note, callback_on_step_end_tensor_inputs=names, **CALL)
    assert seen == [{"prompt_embeds"}] * 2


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_vae_or_text_encoder_that_overflows_is_named(tiny_components, widened, bad):
    parts = in_half(tiny_components)
    torch.nn.init.constant_(parts["vae"].decoder.conv_out.conv.bias, bad)
    pipeline = quiet(UDPDiffPipeline(**parts, transformer=widened.half(), tasks=TASKS))
    with pytest.raises(ValueError, match=r"'float16'.*frames that the VAE decodes"):
        pipeline("a ball", task="depth", generator=seeded(1), **CALL | {"output_type": "np"})
    torch.nn.init.constant_(parts["text_encoder"].encoder.final_layer_norm.weight, bad)
    with pytest.raises(ValueError, match=r"'float16'.*prompt embeddings"):
        pipeline("a ball", task="depth", generator=seeded(1), **CALL)


def test_infinite_noise_embeddings_and_conditions_are_refused(tiny_components, tiny_transformer):
    transformer = expand_transformer(tiny_transformer, 2, independent_timesteps=True)
    pipeline = quiet(UDPDiffPipeline(**tiny_components, transformer=transformer, tasks=TASKS))
    for change, what in (
        ({"latents": torch.full((1, 3, 32, 16, 16), math.inf)}, "latents that were given"),
        ({"conditions": {"video": torch.full((1, 3, 16, 16, 16), math.nan)}}, r"conditions\['video'\]"),
        (
            {"prompt": None, "prompt_embeds": torch.full((1, 48, 32), math.nan), "guidance_scale": 1},
            "prompt embeddings",
        ),
    ):
        with pytest.raises(ValueError, match=what):
            pipeline(**{"prompt": "a ball", "task": "seg", **CALL} | change)


# Noise that is given


@pytest.mark.parametrize(
    "shape",
    [
        (1, 4, 32, 16, 16),
        (1, 2, 32, 16, 16),
        (1, 3, 16, 16, 16),
        (1, 3, 32, 8, 16),
        (2, 3, 32, 16, 16),
        (3, 32, 16, 16),
    ],
)
def test_noise_of_another_size_is_refused(pipeline, shape):
    with pytest.raises(ValueError, match=r"Got latents .*expected .*\(1, 3, 32, 16, 16\).*paired_latents"):
        pipeline("a ball", task="seg", latents=torch.zeros(shape), **CALL)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64, torch.int64])
def test_noise_of_another_dtype_is_refused(pipeline, dtype):
    with pytest.raises(ValueError, match=r"Got latents torch\..*expected torch\.float32"):
        pipeline("a ball", task="seg", latents=torch.zeros((1, 3, 32, 16, 16), dtype=dtype), **CALL)


def test_noise_of_cogvideox_15_has_the_frames_that_it_patches_together(tiny_components, make_tiny_transformer):
    transformer = expand_transformer(make_tiny_transformer("1.5_rope"), num_tasks=2)
    pipeline = quiet(UDPDiffPipeline(**tiny_components, transformer=transformer, tasks=TASKS))
    drawn = pipeline("a ball", task="seg", generator=seeded(8), **CALL)
    given = pipeline("a ball", task="seg", latents=paired_latents([8], (4, 16, 16, 16)), **CALL)
    assert all(map(torch.equal, both(drawn), both(given)))
    with pytest.raises(ValueError, match=r"expected .*\(1, 4, 32, 16, 16\)"):
        pipeline("a ball", task="seg", latents=paired_latents([8], (3, 16, 16, 16)), **CALL)


# Parts of another kind


def test_a_transformer_of_the_stock_class_is_refused(pipeline, tiny_components, tmp_path):
    """It reads the widened folder, configuration included, but for the task embedding."""
    pipeline.save_pretrained(tmp_path)
    stock = CogVideoXTransformer3DModel.from_pretrained(tmp_path, subfolder="transformer")
    message = "CogVideoXTransformer3DModel, expected UDPDiffTransformer3DModel"
    with pytest.raises(ValueError, match=message):
        UDPDiffPipeline.from_pretrained(tmp_path, transformer=stock)
    with pytest.raises(ValueError, match=message):
        UDPDiffPipeline(**tiny_components, transformer=stock, tasks=TASKS)
    pipeline.transformer = stock
    with pytest.raises(ValueError, match=message):
        pipeline("a ball", task="seg", **CALL)


def test_a_compiled_transformer_is_the_one_it_was(tiny_components, widened, pipeline):
    compiled = torch.compile(widened, backend="eager")
    ours = quiet(UDPDiffPipeline(**tiny_components, transformer=compiled, tasks=TASKS))
    call = {"prompt": "a ball", "task": "seg", **CALL, "num_inference_steps": 1}
    frames = [torch.stack(both(each(generator=seeded(1), **call))) for each in (pipeline, ours)]
    torch.testing.assert_close(*frames)


@pytest.mark.parametrize("base", [{}, {"snr_shift_scale": 2.0}])
@pytest.mark.parametrize("other", [DDIMScheduler, EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler])
def test_a_scheduler_that_drops_the_shift_is_refused_by_name(tiny_components, widened, base, other):
    own = CogVideoXDDIMScheduler(**PUBLISHED_2B | base)
    pipeline = quiet(UDPDiffPipeline(**tiny_components | {"scheduler": own}, transformer=widened, tasks=TASKS))
    pipeline.scheduler = other.from_config(own.config)
    with pytest.raises(ValueError, match=rf"Got a {other.__name__}.*noise schedule.*expected that of training"):
        pipeline("a ball", task="seg", **CALL)
    with pytest.raises(ValueError, match=rf"Got a {other.__name__}"):
        UDPDiffPipeline(**tiny_components | {"scheduler": pipeline.scheduler}, transformer=widened, tasks=TASKS)


def test_a_scheduler_of_another_class_with_the_same_schedule_samples_the_same(tiny_components, widened):
    """As with CogVideoX-5b, whose shift is 1."""
    own = CogVideoXDDIMScheduler(**PUBLISHED_2B | {"snr_shift_scale": 1.0})
    pipeline = quiet(UDPDiffPipeline(**tiny_components | {"scheduler": own}, transformer=widened, tasks=TASKS))
    call = {"prompt": "a ball", "task": "seg", **CALL, "num_inference_steps": 10}
    expected = torch.stack(both(pipeline(generator=seeded(1), **call)))
    pipeline.scheduler = DDIMScheduler.from_config(own.config)
    torch.testing.assert_close(torch.stack(both(pipeline(generator=seeded(1), **call))), expected, atol=1e-4, rtol=1e-4)
    again = UDPDiffPipeline(**pipeline.components, tasks=TASKS)
    assert type(again.scheduler) is DDIMScheduler


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prediction_type": "epsilon"}, "prediction_type 'epsilon', expected 'v_prediction'"),
        ({"rescale_betas_zero_snr": False}, "rescale_betas_zero_snr=False.*noise schedule"),
        ({"snr_shift_scale": 1.0}, "snr_shift_scale=1.0.*noise schedule"),
        ({"beta_end": 0.02}, "beta_end=0.02.*noise schedule"),
        ({"num_train_timesteps": 500}, "500 timesteps"),
        ({"timestep_spacing": "leading"}, "'leading'.*timestep_spacing='trailing'"),
        ({"timestep_spacing": "linspace"}, "'linspace'.*timestep_spacing='trailing'"),
    ],
)
def test_a_scheduler_with_a_key_changed_is_refused(tiny_components, widened, change, message):
    own = CogVideoXDDIMScheduler(**PUBLISHED_2B)
    pipeline = quiet(UDPDiffPipeline(**tiny_components | {"scheduler": own}, transformer=widened, tasks=TASKS))
    pipeline.scheduler = CogVideoXDDIMScheduler.from_config(own.config, **change)
    with pytest.raises(ValueError, match=message):
        pipeline("a ball", task="seg", **CALL)


def test_a_scheduler_that_bounds_the_latents_is_refused(tiny_components, widened):
    own = CogVideoXDDIMScheduler(**PUBLISHED_2B | {"snr_shift_scale": 1.0})
    pipeline = quiet(UDPDiffPipeline(**tiny_components | {"scheduler": own}, transformer=widened, tasks=TASKS))
    pipeline.scheduler = DDIMScheduler.from_config(own.config, clip_sample=True)
    with pytest.raises(ValueError, match="DDIMScheduler with clip_sample=True"):
        pipeline("a ball", task="seg", **CALL)


# Guidance


@pytest.mark.parametrize("steps", [5, 10])
def test_dynamic_guidance_grows_smoothly_for_any_number_of_steps(pipeline, steps):
    seen = []

    def note(pipe, step, timestep, tensors):
        seen.append(pipe.guidance_scale)
        return tensors

    call = CALL | {"num_inference_steps": steps, "guidance_scale": 6.0}
    pipeline("a ball", task="seg", use_dynamic_cfg=True, callback_on_step_end=note, **call)
    expected = [1 + 6 * (1 - math.cos(math.pi * (step / steps) ** 5)) / 2 for step in range(steps)]
    np.testing.assert_allclose(seen, expected, atol=1e-9)
    assert seen[0] == 1 and all(later >= earlier for earlier, later in itertools.pairwise(seen))
    seen.clear()
    pipeline("a ball", task="seg", callback_on_step_end=note, **call)
    assert seen == [6.0] * steps


# Several videos and tasks in a call


def test_several_videos_of_a_prompt_are_those_of_repeated_prompts(pipeline):
    call = {"task": "depth", "negative_prompt": ["red", "blue"], **CALL, "output_type": "np"}
    several = pipeline(["a ball", "a box"], num_videos_per_prompt=2, generator=seeded(1, 2, 3, 4), **call)
    call |= {"negative_prompt": ["red", "red", "blue", "blue"]}
    single = pipeline(["a ball", "a ball", "a box", "a box"], generator=seeded(1, 2, 3, 4), **call)
    assert several.frames.shape == (4, 9, 64, 64, 3) and several.prediction.shape == (4, 9, 64, 64)
    np.testing.assert_array_equal(several.frames, single.frames)
    np.testing.assert_array_equal(several.prediction, single.prediction)
    one = pipeline("a ball", num_videos_per_prompt=3, generator=seeded(7)[0], **CALL, task="seg")
    assert len(one.frames) == 3 and not torch.equal(one.frames[0], one.frames[1])
    with pytest.raises(ValueError, match="num_videos_per_prompt=0, expected at least 1"):
        pipeline("a ball", num_videos_per_prompt=0, task="seg", **CALL)


def test_several_videos_of_embeddings_and_conditions(tiny_components, tiny_transformer):
    transformer = expand_transformer(tiny_transformer, 2, independent_timesteps=True)
    pipeline = quiet(UDPDiffPipeline(**tiny_components, transformer=transformer, tasks=TASKS))
    embeds = pipeline.encode_prompt(["a ball", "a box"], do_classifier_free_guidance=False, max_sequence_length=48)[0]
    clean = torch.randn(2, 3, 16, 16, 16, generator=torch.Generator().manual_seed(5))
    call = {"task": "seg", **CALL, "guidance_scale": 1.0, "prompt_embeds": embeds, "conditions": {"video": clean}}
    output = pipeline(num_videos_per_prompt=2, generator=seeded(1, 2, 3, 4), **call)
    assert torch.equal(output.frames, clean.repeat_interleave(2, dim=0)) and len(output.dense_frames) == 4


@pytest.mark.parametrize("way", ["names", "ids"])
@pytest.mark.parametrize("condition", ["embedding", "text"])
def test_a_task_for_each_prompt(tiny_components, widened, way, condition):
    pipeline = quiet(UDPDiffPipeline(**tiny_components, transformer=widened, tasks=TASKS, task_condition=condition))
    asked = {"task": ["depth", "seg"]} if way == "names" else {"attention_kwargs": {"task_ids": torch.tensor([1, 0])}}
    call = CALL | {"output_type": "np"}
    output = pipeline(["a ball", "a box"], generator=seeded(1, 2), **asked, **call)
    assert output.dense["dense"].task == ("depth", "seg")
    singles = [
        pipeline(prompt, task=task, generator=seeded(seed), **call)
        for prompt, task, seed in (("a ball", "depth", 1), ("a box", "seg", 2))
    ]
    for index, single in enumerate(singles):
        np.testing.assert_allclose(output.frames[index], single.frames[0], atol=1e-4)
        np.testing.assert_allclose(output.dense_frames[index], single.dense_frames[0], atol=1e-4)
    assert [each.dtype for each in output.prediction] == [np.float32, np.uint16]
    several = pipeline(["a ball", "a box"], generator=seeded(1, 9, 2, 9), num_videos_per_prompt=2, **asked, **call)
    assert several.dense["dense"].task == ("depth", "depth", "seg", "seg")
    np.testing.assert_allclose(several.frames[::2], output.frames, atol=1e-4)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"task": ["seg"]}, r"1 tasks.*2 prompts, expected one for each"),
        ({"task": ["seg", "flow"]}, r"\['seg', 'flow'\], expected one of \['seg', 'depth'\]"),
        ({"attention_kwargs": {"task_ids": torch.tensor([0, 2])}}, r"task_ids \[0, 2\].*0 to 1"),
        ({"attention_kwargs": {"task_ids": torch.tensor([0, 1, 1])}}, r"task_ids .*one for each"),
        ({"attention_kwargs": {"task_ids": torch.tensor([0.0, 1.0])}}, r"task_ids \[0.0, 1.0\]"),
        ({"task": "seg", "attention_kwargs": {"task_ids": torch.tensor([1])}}, r"task='seg' beside task_ids \[1\]"),
    ],
)
def test_tasks_that_do_not_fit_the_prompts_are_refused(pipeline, asked, message):
    with pytest.raises(ValueError, match=message):
        pipeline(["a ball", "a box"], **asked, **CALL)


def test_task_ids_alone_choose_the_task(pipeline):
    named = pipeline("a ball", task="depth", generator=seeded(1), **CALL)
    by_row = pipeline("a ball", attention_kwargs={"task_ids": torch.tensor([1])}, generator=seeded(1), **CALL)
    assert by_row.dense["dense"].task == "depth" and all(map(torch.equal, both(named), both(by_row)))


@pytest.mark.parametrize(("output_type", "decode_prediction"), [("latent", True), ("np", True), ("pil", False)])
def test_the_tuple_is_always_frames_and_dense(pipeline, output_type, decode_prediction):
    call = CALL | {"output_type": output_type, "decode_prediction": decode_prediction, "num_inference_steps": 1}
    output = pipeline("a ball", task="depth", return_dict=False, **call)
    assert type(output) is tuple and len(output) == 2 and set(output[1]) == {"dense"}


# What callers of diffusers' pipelines count on


def test_encode_prompt_has_the_stock_signature(pipeline):
    own, stock = (inspect.signature(each.encode_prompt).parameters for each in (UDPDiffPipeline, CogVideoXPipeline))
    assert [(name, each.default) for name, each in own.items()] == [
        (name, each.default) for name, each in stock.items()
    ]
    embeds, negative = pipeline.encode_prompt("a ball", num_videos_per_prompt=2, max_sequence_length=48)
    assert embeds.shape == negative.shape == (2, 48, 32)


def test_the_call_takes_what_video_pipelines_take():
    parameters = inspect.signature(UDPDiffPipeline.__call__).parameters
    assert parameters["num_videos_per_prompt"].default == 1
    wanted = (
        "num_inference_steps generator latents output_type return_dict callback_on_step_end height width num_frames"
    )
    assert {*wanted.split(), "callback_on_step_end_tensor_inputs", "negative_prompt_embeds"} <= set(parameters)


def test_a_call_without_a_prompt_is_refused(pipeline):
    for prompt in (None, []):
        with pytest.raises(ValueError, match="Got no prompt"):
            pipeline(prompt, task="seg", **CALL)


def test_prompts_are_encoded_without_the_other_parts_and_sampled_without_the_encoder(
    pipeline, tiny_components, widened
):
    encoder = UDPDiffPipeline(
        tiny_components["tokenizer"],
        tiny_components["text_encoder"],
        vae=None,
        transformer=None,
        scheduler=None,
        tasks=TASKS,
    )
    with torch.no_grad():
        embeds, negative = encoder.encode_prompt("a ball", "red", max_sequence_length=48)
    alone = {**tiny_components, "tokenizer": None, "text_encoder": None, "transformer": widened}
    sampler = quiet(UDPDiffPipeline(**alone, tasks=TASKS))
    expected = pipeline("a ball", task="seg", negative_prompt="red", generator=seeded(1), **CALL)
    given = {"prompt_embeds": embeds, "negative_prompt_embeds": negative}
    found = sampler(task="seg", generator=seeded(1), **given, **CALL)
    torch.testing.assert_close(both(found), both(expected))
    with pytest.raises(ValueError, match=r"prompt_embeds of shape \(1, 48, 16\), expected \(B, 48, 32\)"):
        sampler(task="seg", prompt_embeds=embeds[..., :16], negative_prompt_embeds=negative, **CALL)


def test_a_pipeline_is_made_from_another_ones_parts(pipeline):
    expected = pipeline("a ball", task="depth", generator=seeded(1), **CALL)
    for other in (UDPDiffPipeline(**pipeline.components, tasks=TASKS), UDPDiffPipeline.from_pipe(pipeline)):
        found = quiet(other)("a ball", task="depth", generator=seeded(1), **CALL)
        assert all(map(torch.equal, both(expected), both(found))) and other.config.tasks == TASKS


def test_guidance_can_be_changed_in_a_callback(pipeline):
    seen = []

    def raise_it(pipe, step, timestep, tensors):
        pipe._guidance_scale += 1.0
        seen.append(pipe.guidance_scale)
        return tensors

    pipeline("a ball", task="seg", callback_on_step_end=raise_it, **CALL)
    assert seen == [4.0, 5.0]


def test_conditions_by_number_are_refused(tiny_components, tiny_transformer):
    transformer = expand_transformer(tiny_transformer, 2, independent_timesteps=True)
    pipeline = UDPDiffPipeline(**tiny_components, transformer=transformer, tasks=TASKS)
    conditions = {0: torch.zeros(1, 3, 16, 16, 16)}
    with pytest.raises(ValueError, match="by name of the stream, in the argument conditions"):
        pipeline("a ball", task="seg", attention_kwargs={"conditions": conditions}, **CALL)
