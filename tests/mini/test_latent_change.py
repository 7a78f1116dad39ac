"""Other latents for trained networks: what linear algebra alone keeps."""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange, repeat

from udpdiff.mini.base import build_transformer
from udpdiff.mini.latent_change import carry_over, narrow_vae
from udpdiff.mini.vae import build_vae
from udpdiff.model.latents import decode_latents, encode_videos


def random_videos(seed: int, count: int = 2) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 9, 4, 4, 3), dtype=np.uint8)
    return repeat(coarse, "n t h w c -> n t (h p) (w q) c", p=4, q=4)


def test_a_vae_whose_latents_fill_a_few_directions_loses_nothing():
    torch.manual_seed(0)
    vae = build_vae().eval()
    # Latents of three directions alone: what the encoder writes, and so all that the decoder reads.
    basis = torch.linalg.qr(torch.randn(16, 3)).Q
    with torch.no_grad():
        out = vae.encoder.conv_out.conv
        out.weight[:16] = torch.einsum("ij,j...->i...", basis @ basis.T, out.weight[:16])
        out.bias[:16] = basis @ basis.T @ out.bias[:16]
    videos = random_videos(0)
    narrow = narrow_vae(vae, 3, encode_videos(vae, random_videos(1))).eval()
    assert narrow.config.latent_channels == 3 and narrow.config.scaling_factor == 1.0
    latents = encode_videos(narrow, videos)
    assert latents.shape[2] == 3
    gap = decode_latents(narrow, latents).astype(int) - decode_latents(vae, encode_videos(vae, videos))
    assert np.abs(gap).max() <= 1


def test_the_directions_kept_are_those_of_most_variance():
    vae = build_vae().eval()
    videos = random_videos(2)
    wide = encode_videos(vae, videos)
    values = rearrange(wide, "b f c h w -> (b f h w) c")
    variances = np.sort(np.linalg.eigvalsh(np.cov(values.T)))
    kept = rearrange(encode_videos(narrow_vae(vae, 4, wide).eval(), videos), "b f c h w -> (b f h w) c")
    np.testing.assert_allclose(np.sort(np.linalg.eigvalsh(np.cov(kept.T))), variances[-4:], rtol=1e-3)


def test_a_transformer_for_the_same_latents_in_another_basis_predicts_the_same():
    torch.manual_seed(0)
    transformer = build_transformer().eval()
    with torch.no_grad():
        for weight in transformer.parameters():
            if not weight.any():  # gates and output start at zero, where every prediction is the same
                weight.normal_(0, 0.05)
    basis = torch.linalg.qr(torch.randn(16, 16)).Q
    old = torch.randn(40, 3, 16, 16, 16)
    carried = carry_over(transformer, old, torch.einsum("ij,bfjhw->bfihw", basis, old))
    prompt, timestep = torch.randn(1, 48, 128), torch.tensor([300])
    with torch.no_grad():
        before = transformer(old[:1], prompt, timestep, return_dict=False)[0]
        after = carried(torch.einsum("ij,bfjhw->bfihw", basis, old[:1]), prompt, timestep, return_dict=False)[0]
    expected = torch.einsum("ij,bfjhw->bfihw", basis, before)
    # The ridge takes 2 % of what goes in, and of what comes out.
    assert (after - expected).norm() < 0.06 * expected.norm()


def test_fewer_channels_and_another_activation():
    old = torch.randn(8, 3, 16, 16, 16)
    carried = carry_over(build_transformer(), old, old[:, :, :8], activation_fn="gelu")
    assert (carried.config.in_channels, carried.config.out_channels, carried.config.activation_fn) == (8, 8, "gelu")
