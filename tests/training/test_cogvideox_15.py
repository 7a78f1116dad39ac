"""CogVideoX 1.5 by the same classes: patches of two frames, a frame of padding in front, other positions."""

from __future__ import annotations

import shutil

import pytest
import torch
from diffusers import CogVideoXPipeline, CogVideoXTransformer3DModel

from udpdiff.model.expansion import InitIn, InitOut
from udpdiff.model.loading import load_run, widened_pipeline
from udpdiff.training.loop import train

CALL = {"height": 64, "width": 64, "num_frames": 9, "num_inference_steps": 2, "output_type": "latent"}


@pytest.fixture(scope="module")
def base(base, tmp_path_factory) -> str:
    """A base of the shape of CogVideoX1.5-5B: the tiny one's parts with such a transformer, wide enough for `orthogonal`."""
    folder = tmp_path_factory.mktemp("base-1.5")
    shutil.copytree(base, folder, dirs_exist_ok=True)
    config = CogVideoXTransformer3DModel.load_config(folder, subfolder="transformer")
    config |= {"patch_size": 2, "patch_size_t": 2, "patch_bias": False, "num_attention_heads": 24, "num_layers": 1}
    torch.manual_seed(2)
    CogVideoXTransformer3DModel.from_config(config).save_pretrained(folder / "transformer")
    return str(folder)


def sample(pipeline, **options):
    pipeline.set_progress_bar_config(disable=True)
    return pipeline("a red ball", generator=torch.Generator().manual_seed(0), **CALL | options)


@pytest.mark.parametrize(
    "init_in, init_out", [*((each, "copy") for each in InitIn.__args__), ("orthogonal", "orthogonal")]
)
def test_it_is_widened_trained_exported_and_sampled_from(base, tmp_path, make_settings, make_source, init_in, init_out):
    settings = make_settings(base=base, steps=2, batch_size=2, init_in=init_in, init_out=init_out, validation_clips=1)
    train(settings, make_source("seg", "depth"), tmp_path / "state", tmp_path / "run")
    pipeline = load_run(tmp_path / "run")
    config = pipeline.transformer.config
    assert (config.patch_size_t, config.patch_bias, config.in_channels) == (2, False, 32)
    assert pipeline.transformer.patch_embed.proj.weight.shape == (384, 2 * 16 * 2 * 2 * 2)
    output = sample(pipeline, task="depth")
    assert output.frames.shape == output.dense_frames.shape == (1, 3, 16, 16, 16)  # of the 4 that were denoised
    frames = sample(pipeline, task="depth", output_type="np", decode_prediction=False)
    assert frames.frames.shape == frames.dense_frames.shape == (1, 9, 64, 64, 3)


@pytest.mark.parametrize("init_out", InitOut.__args__)
def test_untrained_it_gives_the_stock_pipelines_video(base, init_out):
    from udpdiff.model.expansion import expand_transformer

    stock, ours = CogVideoXPipeline.from_pretrained(base), widened_pipeline(base, {"depth": "spectral"})
    stock.scheduler = ours.scheduler
    generator = torch.Generator().manual_seed(0)
    ours.transformer = expand_transformer(stock.transformer, 0, "zero", init_out, generator)
    expected = sample(stock, max_sequence_length=48).frames
    assert expected.shape[1] == 4 and torch.equal(sample(ours).frames, expected[:, 1:])


def test_the_run_of_the_unwidened_base_is_sampled_from(base, tmp_path, make_settings, make_source):
    settings = make_settings(base=base, steps=1, tasks={})
    train(settings, make_source(), tmp_path / "state", tmp_path / "run")
    assert sample(load_run(tmp_path / "run"), output_type="np").frames.shape[0] == 1


def test_its_adapter_loads_into_a_freshly_widened_base(base, tmp_path, make_settings, make_source):
    pytest.importorskip("peft", reason="LoRA needs peft, the extra `lora`")
    settings = make_settings(base=base, steps=1, lora_rank=2, learning_rate=1e-2, warmup_steps=0)
    train(settings, make_source("seg", "depth"), tmp_path / "state", tmp_path / "run")
    pipeline = widened_pipeline(base, {"seg": "pixelplanes", "depth": "spectral"})
    pipeline.load_lora_weights(tmp_path / "run" / "adapter")
    pipeline.fuse_lora()
    expected = sample(load_run(tmp_path / "run"), task="seg")
    output = sample(pipeline, task="seg")
    assert torch.equal(output.frames, expected.frames) and torch.equal(output.dense_frames, expected.dense_frames)
