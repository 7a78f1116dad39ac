"""From the VAE's pictures to bytes: the nearest level, and nothing beyond the range."""

from __future__ import annotations

import numpy as np
import torch

from udpdiff.model.latents import decode_latents


def test_decoded_pictures_are_cut_to_the_range_and_rounded_to_the_nearest_level(tiny_vae):
    latents = 3 * torch.randn(2, 2, 16, 4, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        pictures = tiny_vae.decode(latents.permute(0, 2, 1, 3, 4) / 0.7).sample.permute(0, 2, 3, 4, 1)
    levels = ((pictures.double().clamp(-1, 1) + 1) * 127.5).numpy()
    decoded = decode_latents(tiny_vae, latents.numpy())
    assert decoded.dtype == np.uint8 and decoded.shape == levels.shape
    assert np.abs(decoded - levels).max() < 0.501
    assert np.abs(decoded - levels).mean() > 0.1  # they lie between levels
    assert {0, 255} <= set(decoded.ravel().tolist())
