"""What half precision costs in encoding, on the mini checkpoint: bounds that the README and config.yaml rest on."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.model.latents import decode_latents, encode_videos
from udpdiff.model.loading import load_vae
from udpdiff.model.text import PromptEncoder
from udpdiff.sources.scenes import SceneSettings, render_clip

BASE = "mini:cogvideox"
PROMPTS = ["A red ball rolls to the right on a grey floor.", "Two cubes."]
# Root mean square of the deviation, as a share of the spread of what is encoded. Measured, float16 last: 0.0048 and 0.0005
# for latents, 0.021 and 0.0004 for prompts.
LATENTS = {"bfloat16": 0.01, "float16": 0.001}
TEXT = {"bfloat16": 0.03, "float16": 0.002}


@pytest.fixture(scope="module")
def exact():
    scene = SceneSettings(height=64, width=64, num_frames=9, fps=8, min_solids=2, max_solids=3, solid_size=1.4)
    video, vae = render_clip(scene, 5).video[None], load_vae(BASE, "cpu")
    latents = encode_videos(vae, video)
    return video, latents, decode_latents(vae, latents).astype(float), PromptEncoder.from_pretrained(BASE, "cpu")


def deviation(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.sqrt(((found - exact) ** 2).mean()) / exact.std())


@pytest.mark.parametrize("dtype", sorted(LATENTS))
def test_latents_in_half_precision(exact, dtype):
    """Half precision adds a fortieth of what the VAE itself loses."""
    video, latents, decoded, _ = exact
    vae = load_vae(BASE, "cpu", dtype)
    assert {str(weight.dtype) for weight in vae.parameters()} == {f"torch.{dtype}"}
    found = encode_videos(vae, video)
    assert found.dtype == np.float32
    assert 0 < deviation(found, latents) < LATENTS[dtype]
    lost = np.abs(decoded - video).mean()
    assert np.abs(decode_latents(vae, latents) - decoded).mean() < lost / 25


@pytest.mark.parametrize("dtype", sorted(TEXT))
def test_prompts_in_half_precision(exact, dtype):
    encoder = PromptEncoder.from_pretrained(BASE, "cpu", dtype)
    found = encoder.encode(PROMPTS)
    assert found.dtype == np.float32
    assert 0 < deviation(found, exact[3].encode(PROMPTS)) < TEXT[dtype]
