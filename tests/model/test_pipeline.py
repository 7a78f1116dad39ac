"""The pipeline against the stock one: same video for one seed at the start, plus dense frames, tasks and errors."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from diffusers import CogVideoXDPMScheduler, CogVideoXPipeline
from pipeline_calls import quiet, seeded

from udpdiff import UDPDiffPipeline
from udpdiff.model.expansion import expand_transformer
from udpdiff.model.noise import paired_latents
from udpdiff.tasks import get_task, task_prompt

TASKS = {"seg": "pixelplanes", "depth": "spectral"}
CALL = {"num_inference_steps": 2, "guidance_scale": 3.0, "output_type": "np", "max_sequence_length": 48}
OURS = {**CALL, "task": "seg", "decode_prediction": False}


@pytest.fixture
def widened(tiny_transformer):
    return expand_transformer(tiny_transformer, num_tasks=2)


@pytest.fixture
def pipeline(tiny_components, widened):
    """A pipeline whose tasks differ."""
    torch.manual_seed(5)
    torch.nn.init.normal_(widened.time_embedding.task_embedding.weight)
    return quiet(UDPDiffPipeline(**tiny_components, transformer=widened, tasks=TASKS))


@pytest.mark.parametrize("guidance_scale", [1.0, 3.0])
def test_untrained_model_gives_the_stock_pipelines_video(
    family, guidance_scale, tiny_components, make_tiny_transformer
):
    base = make_tiny_transformer(family)
    stock = quiet(CogVideoXPipeline(**tiny_components, transformer=base))
    ours = quiet(UDPDiffPipeline(**tiny_components, transformer=expand_transformer(base, num_tasks=2), tasks=TASKS))
    prompts = ["a red ball", "a blue box moves"]
    expected = stock(prompts, generator=seeded(1, 2), **CALL | {"guidance_scale": guidance_scale}).frames
    output = ours(prompts, generator=seeded(1, 2), **OURS | {"guidance_scale": guidance_scale})
    assert expected.shape == output.frames.shape == output.dense_frames.shape == (2, 9, 64, 64, 3)
    np.testing.assert_array_equal(output.frames, expected)
    assert not np.array_equal(output.dense_frames, expected)


def test_given_paired_latents_equal_the_pipelines_own_draw(pipeline):
    drawn = pipeline("a red ball", generator=seeded(8)[0], **OURS)
    given = pipeline("a red ball", latents=paired_latents([8], (3, 16, 16, 16)), **OURS)
    np.testing.assert_array_equal(drawn.frames, given.frames)
    np.testing.assert_array_equal(drawn.dense_frames, given.dense_frames)


def test_batch_and_single_call_agree_prompt_by_prompt(pipeline):
    batch = pipeline(["a red ball", "a blue box"], generator=seeded(1, 2), **OURS)
    single = pipeline("a blue box", generator=seeded(2), **OURS)
    np.testing.assert_allclose(batch.frames[1], single.frames[0], atol=1e-4)
    np.testing.assert_allclose(batch.dense_frames[1], single.dense_frames[0], atol=1e-4)


def test_task_changes_the_output_through_its_embedding(pipeline):
    seg = pipeline("a red ball", generator=seeded(1), **OURS)
    depth = pipeline("a red ball", generator=seeded(1), **OURS | {"task": "depth"})
    assert np.abs(seg.dense_frames - depth.dense_frames).max() > 1e-4
    torch.nn.init.zeros_(pipeline.transformer.time_embedding.task_embedding.weight)
    zeroed = [pipeline("a red ball", generator=seeded(1), **OURS | {"task": task}).frames for task in TASKS]
    np.testing.assert_array_equal(zeroed[0], zeroed[1])


@pytest.mark.parametrize("num_tasks", [0, 2])
def test_text_variant_names_the_task_in_the_prompt_instead(num_tasks, tiny_components, tiny_transformer):
    transformer = expand_transformer(tiny_transformer, num_tasks)
    if num_tasks:
        torch.nn.init.normal_(transformer.time_embedding.task_embedding.weight)
    text = quiet(UDPDiffPipeline(**tiny_components, transformer=transformer, task_condition="text", tasks=TASKS))
    stock = quiet(CogVideoXPipeline(**tiny_components, transformer=tiny_transformer))
    prompts = ["a ball", "a blue box moves"]
    named = [task_prompt(prompt, "depth") for prompt in prompts]
    batch = text(prompts, generator=seeded(1, 2), **OURS | {"task": "depth"})
    np.testing.assert_array_equal(batch.frames, stock(named, generator=seeded(1, 2), **CALL).frames)
    for prompt, seed, frames in zip(prompts, (1, 2), batch.frames, strict=True):
        single = text(prompt, generator=seeded(seed), **OURS | {"task": "depth"})
        np.testing.assert_allclose(single.frames[0], frames, atol=1e-4)


@pytest.fixture
def single(tiny_transformer):
    """A widened transformer for one task."""
    return expand_transformer(tiny_transformer, num_tasks=1)


def saved_pipeline(tiny_components, widened, folder) -> UDPDiffPipeline:
    """Save a depth pipeline in a folder and return it."""
    torch.nn.init.normal_(widened.time_embedding.task_embedding.weight)
    pipeline = quiet(UDPDiffPipeline(**tiny_components, transformer=widened, tasks={"depth": "spectral"}))
    pipeline.save_pretrained(folder)
    return pipeline


def test_folder_round_trip_needs_no_other_settings(tiny_components, single, tmp_path):
    saved = saved_pipeline(tiny_components, single, tmp_path)
    index = json.loads((tmp_path / "model_index.json").read_text())
    assert index["_class_name"] == "UDPDiffPipeline"
    assert index["transformer"] == ["udpdiff.model.transformer", "UDPDiffTransformer3DModel"]

    loaded = quiet(UDPDiffPipeline.from_pretrained(tmp_path))
    assert type(loaded.transformer) is type(single)
    assert loaded.config.tasks == {"depth": "spectral"}
    assert loaded.config.task_condition == "embedding"
    call = OURS | {"task": None}  # one trained task: no need to name it
    expected = saved("a red ball", generator=seeded(1), **call)
    output = loaded("a red ball", generator=seeded(1), **call)
    np.testing.assert_array_equal(output.dense_frames, expected.dense_frames)
    with pytest.raises(ValueError, match=r"Got task='seg', expected one of .'depth'."):
        loaded("a red ball", **OURS)


def test_a_hub_id_loads_like_a_folder(tiny_components, single, tmp_path):
    repository = tmp_path / "models--someone--tiny-udpdiff"  # the hub's cache layout, as after a download
    saved_pipeline(tiny_components, single, repository / "snapshots" / "0123abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0123abc")
    loaded = UDPDiffPipeline.from_pretrained("someone/tiny-udpdiff", cache_dir=tmp_path, local_files_only=True)
    assert loaded.config.tasks == {"depth": "spectral"}
    state = single.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in loaded.transformer.state_dict().items())


def test_output_types_are_those_of_diffusers(pipeline):
    latent = pipeline("a red ball", generator=seeded(1), **OURS | {"output_type": "latent"})
    assert latent.frames.shape == latent.dense_frames.shape == (1, 3, 16, 16, 16)
    assert latent.prediction is None
    pt = pipeline("a red ball", generator=seeded(1), **OURS | {"output_type": "pt"})
    assert pt.frames.shape == pt.dense_frames.shape == (1, 9, 3, 64, 64)
    pil = pipeline("a red ball", generator=seeded(1), **OURS | {"output_type": "pil"})
    assert len(pil.frames[0]) == len(pil.dense_frames[0]) == 9 and pil.frames[0][0].size == (64, 64)
    as_tuple = pipeline("a red ball", generator=seeded(1), **OURS | {"output_type": "pt", "return_dict": False})
    frames, dense = as_tuple
    assert torch.equal(frames, pt.frames) and torch.equal(dense["dense"].frames, pt.dense_frames)


def test_latent_output_decodes_to_the_frames_without_padding(tiny_components, make_tiny_transformer):
    transformer = expand_transformer(make_tiny_transformer("1.5_rope"), num_tasks=2)
    pipeline = quiet(UDPDiffPipeline(**tiny_components, transformer=transformer, tasks=TASKS))
    latents = pipeline("a red ball", generator=seeded(1), **OURS | {"output_type": "latent"})
    frames = pipeline("a red ball", generator=seeded(1), **OURS | {"output_type": "pt"})
    assert latents.frames.shape[1] == 3  # 4 denoised, 1 of them padding
    with torch.no_grad():
        decoded = pipeline.video_processor.postprocess_video(pipeline.decode_latents(latents.dense_frames), "pt")
    assert torch.equal(decoded, frames.dense_frames)


def test_prediction_is_the_tasks_decoding_of_the_colormap(pipeline, monkeypatch):
    monkeypatch.setattr(type(get_task("depth")), "decode", lambda _, colormap: red_channel(colormap))
    output = pipeline(["a ball", "a box"], task="depth", generator=seeded(1, 2), **CALL)
    assert output.prediction.dtype == np.float32 and output.dense["dense"].task == "depth"
    np.testing.assert_allclose(output.prediction, output.dense_frames[..., 0], atol=0.5 / 255 + 1e-6)


def red_channel(colormap: np.ndarray) -> np.ndarray:
    """Decode a colormap uint8 (T, H, W, 3) to its red channel, float32 [0, 1]: a real, if trivial, representation."""
    assert colormap.dtype == np.uint8 and colormap.shape == (9, 64, 64, 3)
    return colormap[..., 0].astype(np.float32) / 255


@pytest.mark.parametrize(("task", "dtype"), [("seg", np.uint16), ("depth", np.float32)])
def test_shipped_representations_decode_the_colormaps(pipeline, task, dtype):
    output = pipeline("a red ball", task=task, generator=seeded(1), **CALL)
    assert output.prediction.shape == (1, 9, 64, 64) and output.prediction.dtype == dtype
    assert set(pipeline.timings) == {"text_encoder", "transformer", "vae", "prediction"}


def test_callback_sees_both_halves_and_can_replace_them(pipeline):
    shapes = []

    def zero_dense(pipe, step, timestep, tensors):
        shapes.append(tuple(tensors["latents"].shape))
        tensors["latents"][:, :, 16:] = 0
        return tensors

    output = pipeline(
        "a ball", generator=seeded(1), callback_on_step_end=zero_dense, **OURS | {"output_type": "latent"}
    )
    assert shapes == [(1, 3, 32, 16, 16)] * 2
    assert output.dense_frames.abs().max() == 0 and output.frames.abs().max() > 0


def test_timings_cover_the_last_call_only(pipeline):
    pipeline("a ball", **OURS)
    first = dict(pipeline.timings)
    assert set(first) == {"text_encoder", "transformer", "vae"} and min(first.values()) > 0
    pipeline("a ball", **OURS | {"output_type": "latent"})
    assert set(pipeline.timings) == {"text_encoder", "transformer"}


def test_text_length_defaults_to_the_transformers(pipeline):
    short = {key: value for key, value in OURS.items() if key != "max_sequence_length"}
    expected = pipeline("a ball", generator=seeded(1), **OURS).frames
    np.testing.assert_array_equal(pipeline("a ball", generator=seeded(1), **short).frames, expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "normals"}, "got task='normals'"),
        ({"task": None}, "got task=None"),
        ({"height": 72}, "multiples of 16.*64"),
        ({"num_frames": 11}, "multiple of 8.* 9"),
        ({"num_frames": 13}, "multiple of 8.* 9"),
        ({"num_inference_steps": 30}, "expected a divisor of 1000"),
        ({"num_inference_steps": 0}, "expected 1 to 1000"),
        ({"latents": torch.zeros(1, 3, 16, 16, 16)}, "paired_latents"),
    ],
)
def test_calls_that_cannot_be_right_are_refused(pipeline, change, message):
    with pytest.raises(ValueError, match=f"(?i){message}"):
        pipeline("a ball", **OURS | change)


def test_spacing_that_the_scheduler_would_step_through_wrongly_is_refused(pipeline):
    pipeline.scheduler = type(pipeline.scheduler).from_config(pipeline.scheduler.config, timestep_spacing="linspace")
    with pytest.raises(ValueError, match=r"'linspace'.*timestep_spacing='trailing'"):
        pipeline("a ball", **OURS)


def test_the_stochastic_dpm_scheduler_runs_and_repeats_itself(pipeline):
    pipeline.scheduler = CogVideoXDPMScheduler.from_config(pipeline.scheduler.config)
    first, second = (pipeline("a ball", generator=seeded(1), **OURS).dense_frames for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_construction_errors(tiny_components, tiny_transformer, widened):
    with pytest.raises(ValueError, match=r"16 input and 16 output channels.*expected 32.*expand_transformer"):
        UDPDiffPipeline(**tiny_components, transformer=tiny_transformer)
    with pytest.raises(ValueError, match="task_condition: got 'prompt'"):
        UDPDiffPipeline(**tiny_components, transformer=widened, task_condition="prompt")
    with pytest.raises(ValueError, match="got 'flow'"):
        UDPDiffPipeline(**tiny_components, transformer=widened, tasks={"flow": "rgb"})


def test_rows_of_the_embedding_are_the_tasks_in_their_order(tiny_components, widened):
    torch.nn.init.normal_(widened.time_embedding.task_embedding.weight)
    orders = (TASKS, dict(reversed(TASKS.items())))
    ours = [quiet(UDPDiffPipeline(**tiny_components, transformer=widened, tasks=tasks)) for tasks in orders]
    seg, depth = (
        [pipeline("a ball", generator=seeded(1), **OURS | {"task": task}).frames for pipeline in ours]
        for task in ("seg", "depth")
    )
    np.testing.assert_array_equal(seg[0], depth[1])
    np.testing.assert_array_equal(seg[1], depth[0])
    assert not np.array_equal(seg[0], seg[1])


def test_a_row_for_each_task_is_required(tiny_components, tiny_transformer):
    for num_tasks in (1, 3):
        transformer = expand_transformer(tiny_transformer, num_tasks=num_tasks)
        with pytest.raises(ValueError, match=f"num_tasks={num_tasks} for 2 tasks"):
            UDPDiffPipeline(**tiny_components, transformer=transformer, tasks=TASKS)
        UDPDiffPipeline(**tiny_components, transformer=transformer, tasks=TASKS, task_condition="text")
