"""DepthCrafter's windows, their noise and stitching, guidance and the image encoder's filter, by hand."""

from __future__ import annotations

import types

import numpy as np
import pytest
import torch

from udpdiff.labelling.depthcrafter import DepthCrafter, resize_for_clip
from udpdiff.labelling.windows import stitch


@pytest.fixture
def crafter() -> DepthCrafter:
    return DepthCrafter.from_pretrained("mini:depthcrafter", device="cpu")


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        (0, [0, 0, 0, 1, 1, 1]),
        (1, [0, 0, 0, 1, 1]),  # the old frame stays
        (2, [0, 0, 1, 1]),
        (3, [0, 0.5, 1]),
    ],
)
def test_overlaps_go_linearly_from_old_to_new_both_ends_included(overlap, expected):
    joined = stitch(torch.zeros(3, 2), torch.ones(3, 2), overlap)
    torch.testing.assert_close(joined, torch.tensor(expected).float()[:, None].expand(-1, 2))


def test_a_window_goes_on_from_the_latents_and_the_noise_goes_round(crafter, monkeypatch):
    """Four frames at once, two of them shared; a window's noise is the last two of the one before, then its first two."""
    noise = torch.arange(1.0, 5.0)[None, :, None, None, None]
    starts, shown = [], []

    def denoise(start, conditions, guidance_scale):
        starts.append(start.flatten().tolist())
        shown.append(tuple(part.flatten().tolist() for part in conditions))
        assert guidance_scale == 1.5
        return torch.full_like(start, 10.0 ** len(starts))

    monkeypatch.setattr(crafter, "_denoise_window", denoise)
    frames = torch.arange(7.0)
    conditions = frames[:, None], 100 + frames[:, None, None, None]
    latents = crafter.denoise(conditions, noise, num_inference_steps=3, guidance_scale=1.5, overlap=2)
    assert crafter.scheduler.num_inference_steps == 3
    first, whole = crafter.scheduler.sigmas[0].item(), float(crafter.scheduler.init_noise_sigma)
    assert whole - first > 5e-4  # the noise of what is continued is a little less than that of a start
    expected = [
        [1 * whole, 2 * whole, 3 * whole, 4 * whole],
        [10 + 3 * first, 10 + 4 * first, 1 * whole, 2 * whole],
        [100 + 1 * first, 100 + 2 * first, 3 * whole],  # the last window is short
    ]
    for start, values in zip(starts, expected, strict=True):
        np.testing.assert_allclose(start, values, rtol=2e-7)
    assert shown == [
        ([0, 1, 2, 3], [100, 101, 102, 103]),
        ([2, 3, 4, 5], [102, 103, 104, 105]),
        ([4, 5, 6], [104, 105, 106]),
    ]
    assert latents.flatten().tolist() == [10, 10, 10, 100, 100, 1000, 1000]


@pytest.mark.parametrize(("guidance_scale", "expected"), [(1.0, 5.0), (3.0, 1 + 3 * 4.0)])
def test_guidance_leads_away_from_what_is_said_without_conditions(crafter, monkeypatch, guidance_scale, expected):
    def unet(sample, timestep, embeddings, time_ids):
        """Say 1, and 4 more where there are conditions."""
        assert sample.shape == (len(embeddings), 2, 8, 1, 1)
        torch.testing.assert_close(time_ids, torch.tensor([[7, 127, 0.02]]).expand(len(sample), 3))
        given = (embeddings.mean((1, 2)) + sample[:, :, 4:].mean((1, 2, 3, 4))) / 2
        assert torch.equal(sample[:, :, :4], torch.full_like(sample[:, :, :4], 3.0))
        return (1 + given)[:, None, None, None, None].expand(-1, 2, 4, 1, 1)

    scheduler = types.SimpleNamespace(
        timesteps=[torch.tensor(0.5)],
        scale_model_input=lambda latents, timestep: latents / 2,
        step=lambda output, timestep, latents: types.SimpleNamespace(prev_sample=output),
    )
    monkeypatch.setattr(crafter, "unet", unet)
    monkeypatch.setattr(crafter, "scheduler", scheduler)
    conditions = torch.full((2, 3), 4.0), torch.full((2, 4, 1, 1), 4.0)
    denoised = crafter._denoise_window(torch.full((2, 4, 1, 1), 6.0), conditions, guidance_scale)
    assert denoised.shape == (2, 4, 1, 1) and (denoised == expected).all()


@pytest.mark.parametrize("size", [(224, 224), (64, 448), (512, 320), (1344, 100)])
def test_images_are_shrunk_as_stable_video_diffusion_does(size):
    """Each side is blurred by how much it shrinks."""
    from diffusers.pipelines.stable_video_diffusion.pipeline_stable_video_diffusion import _resize_with_antialiasing

    images = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    torch.testing.assert_close(
        resize_for_clip(images), _resize_with_antialiasing(images, (224, 224)), atol=1e-5, rtol=0
    )


def test_the_depth_of_a_picture_is_the_mean_of_its_channels_over_the_scaled_latents(crafter, monkeypatch):
    """Latents are divided by the VAE's scale, pictures brought from [-1, 1] to [0, 1]."""
    given = []

    def decode(latents, num_frames):
        given.append((latents, num_frames))
        return types.SimpleNamespace(sample=latents[:, :3] * 0 + torch.tensor([-1.0, 0.0, 3.0])[:, None, None])

    monkeypatch.setattr(crafter.vae, "decode", decode)
    scale = crafter.vae.config.scaling_factor
    pictures = crafter.decode(torch.arange(3.0)[:, None, None, None].expand(3, 4, 1, 1) * scale, chunk_frames=2)
    assert [count for _, count in given] == [2, 1]
    latents = torch.cat([latents for latents, _ in given]).flatten()
    torch.testing.assert_close(latents, torch.arange(3.0).repeat_interleave(4))
    assert pictures.shape == (3, 3, 1, 1) and pictures[0].flatten().tolist() == [0, 0.5, 1]
