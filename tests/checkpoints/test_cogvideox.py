"""The shipped generation checkpoint loads with the plain libraries and does its work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from udpdiff import checkpoints
from udpdiff.mini import vae_quality
from udpdiff.mini.scenes import HELD_OUT_SEED, VARIED_SCENES, Scenes
from udpdiff.sources.scenes import render_clip


def _part(name: str) -> Path:
    folder = Path(checkpoints.__file__).parent / "cogvideox" / name
    if not folder.exists():
        pytest.skip(f"no mini checkpoint at {folder}; train it with `snakemake --cores all mini_checkpoints`")
    return folder


@pytest.fixture(scope="module")
def scenes() -> Scenes:
    return Scenes.stack([render_clip(VARIED_SCENES, HELD_OUT_SEED + 500 + index) for index in range(4)])


@pytest.fixture(scope="module")
def vae():
    from diffusers import AutoencoderKLCogVideoX

    return AutoencoderKLCogVideoX.from_pretrained(_part("vae"))


def test_vae_keeps_video_entities_and_depth(vae, scenes):
    quality = vae_quality.measure(vae, scenes)
    assert quality["video_psnr_db"] > 24
    assert quality["entity_miou"] > 0.75
    assert quality["depth_delta1"] > 0.9


def test_latents_have_the_documented_shape_and_scale(vae, scenes):
    _, latents = vae_quality.reconstruct(vae, scenes.video[:2])
    assert vae.dtype == torch.float32
    assert latents.shape == (2, 3, 8, 16, 16)
    assert 0.6 < latents.std() < 1.4


@pytest.fixture(scope="module")
def pipeline():
    from diffusers import CogVideoXPipeline

    pipeline = CogVideoXPipeline.from_pretrained(_part("transformer").parent, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_stock_pipeline_samples_a_video(pipeline):
    video = pipeline(
        "A red ball and a blue cube on a grey floor.",
        height=64,
        width=64,
        num_frames=9,
        num_inference_steps=4,
        guidance_scale=4.0,
        max_sequence_length=48,
        generator=torch.Generator().manual_seed(0),
        output_type="np",
    ).frames[0]
    assert video.shape == (9, 64, 64, 3) and np.isfinite(video).all()
    assert video.std() > 0.05


def test_transformer_explains_noisy_latents_and_uses_the_prompt(pipeline, vae, scenes):
    """At a middle noise level the prediction beats the best constant, and the right prompts beat swapped ones."""
    _, latents = vae_quality.reconstruct(vae, scenes.video)
    latents = torch.from_numpy(latents)
    generator = torch.Generator().manual_seed(0)
    errors = {"right": [], "swapped": []}
    for timestep in (600, 700, 800):
        noise, timesteps = torch.randn(latents.shape, generator=generator), torch.full((len(latents),), timestep)
        noisy = pipeline.scheduler.add_noise(latents, noise, timesteps)
        for name, captions in (("right", scenes.detailed), ("swapped", scenes.detailed[1:] + scenes.detailed[:1])):
            with torch.no_grad():
                embeds, _ = pipeline.encode_prompt(captions, do_classifier_free_guidance=False, max_sequence_length=48)
                output = pipeline.transformer(noisy, embeds, timesteps, return_dict=False)[0]
            clean = pipeline.scheduler.get_velocity(output, noisy, timesteps)
            errors[name].append(float((clean - latents).square().mean() / latents.var()))
    assert np.mean(errors["right"]) < 0.7
    assert np.mean(errors["right"]) < np.mean(errors["swapped"])
