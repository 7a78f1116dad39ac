"""What the mini VAE keeps of video, entity colormaps and depth colormaps, measured on held-out scenes."""

from __future__ import annotations

import numpy as np
import torch

from udpdiff.checkpoints.scene_cache import CachedScenes


def spectral_table() -> np.ndarray:
    """uint8 (256, 3): matplotlib's Spectral, row 255 = nearest."""
    from matplotlib import colormaps

    return (colormaps["Spectral"](np.linspace(0, 1, 256))[:, :3] * 255 + 0.5).astype(np.uint8)


def entity_palettes(count: int, rng: np.random.Generator, black_share: float = 0.0) -> np.ndarray:
    """uint8 (count, 256, 3): a uniform random colour per entity id; id 0, and a share of the others, black."""
    palettes = rng.integers(0, 256, (count, 256, 3), dtype=np.uint8)
    palettes[rng.random((count, 256)) < black_share] = 0
    palettes[:, 0] = 0
    return palettes


def to_pixel_values(pictures: np.ndarray) -> torch.Tensor:
    """uint8 (B, F, H, W, 3) -> float (B, 3, F, H, W) in [-1, 1], the VAE's layout."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def to_pictures(pixel_values: torch.Tensor) -> np.ndarray:
    """The inverse of `to_pixel_values`."""
    pictures = ((pixel_values.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return pictures.permute(0, 2, 3, 4, 1).numpy()


@torch.no_grad()
def reconstruct(vae, pictures: np.ndarray, latent_noise: float = 0.0) -> tuple[np.ndarray, torch.Tensor]:
    """Encode to the posterior's mean and decode; latent_noise is in units of the scaled latents' standard deviation."""
    rebuilt, latents = [], []
    generator = torch.Generator().manual_seed(0)
    for start in range(0, len(pictures), 8):
        mean = vae.encode(to_pixel_values(pictures[start : start + 8])).latent_dist.mode()
        latents.append(mean * vae.config.scaling_factor)
        noise = torch.randn(mean.shape, generator=generator) * latent_noise / vae.config.scaling_factor
        rebuilt.append(to_pictures(vae.decode(mean + noise).sample))
    return np.concatenate(rebuilt), torch.cat(latents)


def measure(vae, scenes: CachedScenes, latent_noise: float = 0.0) -> dict[str, float]:
    """PSNR of video (dB), mean IoU of entities, delta-1 and mean error of depth, after one pass through the VAE.

    Entities are read back by the nearest of the true colours, depth by the nearest row of the colour table.
    """
    rng = np.random.default_rng(0)
    video, video_latents = reconstruct(vae, scenes.video, latent_noise)
    error = (video.astype(np.float32) - scenes.video) ** 2
    palettes = entity_palettes(len(scenes), rng)
    colormaps = np.stack([palette[ids] for palette, ids in zip(palettes, scenes.entity_ids, strict=True)])
    decoded, entity_latents = reconstruct(vae, colormaps, latent_noise)
    ious = [_mean_iou(*parts) for parts in zip(scenes.entity_ids, decoded, palettes, strict=True)]
    table = spectral_table()
    decoded, depth_latents = reconstruct(vae, table[scenes.depth], latent_noise)
    depth = np.stack([_nearest(clip, table) for clip in decoded]) / 255.0
    truth = scenes.depth / 255.0
    valid = truth > 0.05
    ratio = np.maximum(depth, 1e-3)[valid] / truth[valid]
    return {
        "video_psnr_db": float(np.mean(10 * np.log10(255**2 / error.mean((1, 2, 3, 4))))),
        "entity_miou": float(np.mean(ious)),
        "depth_delta1": float(np.mean(np.maximum(ratio, 1 / ratio) < 1.25)),
        "depth_mae": float(np.abs(depth - truth).mean()),
        "latents_std_video": float(video_latents.std()),
        "latents_std_entities": float(entity_latents.std()),
        "latents_std_depth": float(depth_latents.std()),
        "active_channels": int((video_latents.std((0, 2, 3, 4)) > 0.2).sum()),
    }


def _mean_iou(entity_ids: np.ndarray, colormap: np.ndarray, palette: np.ndarray) -> float:
    present = np.unique(entity_ids)
    found = present[_nearest(colormap, palette[present])]
    scores = [
        np.sum((found == own) & (entity_ids == own)) / np.sum((found == own) | (entity_ids == own)) for own in present
    ]
    return float(np.mean(scores))


def _nearest(picture: np.ndarray, table: np.ndarray) -> np.ndarray:
    """The row of table (K, 3) nearest to each pixel (T, H, W, 3) -> (T, H, W)."""
    pixels, rows = picture.reshape(-1, 3).astype(np.float32), table.astype(np.float32)
    distance = (rows**2).sum(1)[None] - 2 * pixels @ rows.T
    return distance.argmin(1).reshape(picture.shape[:-1])
