"""Latents as CogVideoX scales them, and back."""

from __future__ import annotations

import numpy as np
import torch

from udpdiff.model.latents import decode_latents, encode_videos
from udpdiff.model.loading import load_vae


def test_latents_are_scaled_posterior_means(tiny_vae):
    videos = np.random.default_rng(0).integers(0, 256, (2, 5, 32, 32, 3), np.uint8)
    pixel_values = torch.from_numpy(videos).permute(0, 4, 1, 2, 3) / 127.5 - 1
    with torch.no_grad():
        expected = tiny_vae.encode(pixel_values).latent_dist.mode() * 0.7
    latents = encode_videos(tiny_vae, videos)
    assert latents.dtype == np.float32 and latents.shape == (2, 2, 16, 8, 8)
    np.testing.assert_allclose(latents, expected.permute(0, 2, 1, 3, 4), atol=1e-6)


def test_decoding_is_the_inverse():
    vae = load_vae("mini:cogvideox", "cpu")
    assert not vae.training and not any(weight.requires_grad for weight in vae.parameters())
    assert vae.config.scaling_factor != 1
    ramp = np.linspace(0, 255, 64)
    video = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], 128.0), axis=-1).astype(np.uint8)
    videos = np.broadcast_to(video, (1, 9, 64, 64, 3))
    decoded = decode_latents(vae, encode_videos(vae, videos))
    assert decoded.dtype == np.uint8 and decoded.shape == videos.shape
    assert np.abs(decoded.astype(float) - videos).mean() < 6
