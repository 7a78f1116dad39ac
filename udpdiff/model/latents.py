"""Videos to VAE latents and back, as CogVideoX scales them.

Tiling stays off: at its usual size CogVideoX's tiling blends half-frame tiles, which would be cached for ever.
"""

from __future__ import annotations

import numpy as np

from udpdiff.finite import check_finite


def encode_videos(vae, videos: np.ndarray) -> np.ndarray:
    """Return posterior means times the scaling factor, float32 (B, F, C, h, w).

    Args:
        videos: uint8 (B, T, H, W, 3) with T = 4 n + 1, of which the VAE decodes 8 n + 1 alone.

    Raises:
        NotFinite: The latents are not, in the VAE's dtype.
    """
    import torch
    from einops import rearrange

    pixel_values = torch.from_numpy(np.ascontiguousarray(videos)).to(vae.device)
    # Only what is inside the network is rounded to its dtype: bfloat16 has 8 bits, as many as a pixel.
    pixel_values = (rearrange(pixel_values, "b t h w c -> b c t h w").float() / 127.5 - 1).to(vae.dtype)
    with torch.inference_mode():
        latents = vae.encode(pixel_values).latent_dist.mode().float() * vae.config.scaling_factor
    check_finite(latents, "the latents that the VAE encodes", vae.dtype)
    return rearrange(latents, "b c f h w -> b f c h w").cpu().numpy()


def decode_latents(vae, latents: np.ndarray) -> np.ndarray:
    """Return videos uint8 (B, T, H, W, 3) of latents float (B, F, C, h, w); the inverse of `encode_videos`.

    Raises:
        NotFinite: The frames are not, in the VAE's dtype.
    """
    import torch
    from einops import rearrange

    scaled = torch.from_numpy(np.ascontiguousarray(latents)).to(vae.device).float() / vae.config.scaling_factor
    with torch.inference_mode():
        frames = vae.decode(rearrange(scaled, "b f c h w -> b c f h w").to(vae.dtype)).sample
    check_finite(frames, "the frames that the VAE decodes", vae.dtype)
    frames = rearrange(frames, "b c t h w -> b t h w c").float().clamp(-1, 1)
    return ((frames + 1) * 127.5).round().to(torch.uint8).cpu().numpy()
