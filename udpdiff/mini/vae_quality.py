"""What the mini VAE keeps of video, entity colormaps and depth colormaps, measured on held-out scenes."""

from __future__ import annotations

import numpy as np

from udpdiff.measures.depth import evaluate_depth_maps
from udpdiff.mini.quality import entity_quality
from udpdiff.mini.scenes import Scenes
from udpdiff.model.latents import decode_latents, encode_videos
from udpdiff.representations.entity_decoding import decode_entities
from udpdiff.representations.pixelplanes import encode_entities
from udpdiff.representations.spectral import decode_depth, encode_depth

MIN_DEPTH = 0.02  # of the clip's range: nearer to 0 (farthest), a ratio of disparities has no meaning
BATCH_CLIPS = 8


def reconstruct(vae, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 (B, T, H, W, 3) after one pass through the VAE, and their latents, scaled, (B, F, C, h, w)."""
    parts = [encode_videos(vae, pictures[i : i + BATCH_CLIPS]) for i in range(0, len(pictures), BATCH_CLIPS)]
    return np.concatenate([decode_latents(vae, part) for part in parts]), np.concatenate(parts)


def measure(vae, scenes: Scenes) -> dict[str, float]:
    """PSNR of video (dB), mean IoU of entities, delta-1 and mean error of depth, and the latents' spread.

    Entities and depth are read off the pictures as the workflow reads them.
    """
    rng = np.random.default_rng(0)
    video, video_latents = reconstruct(vae, scenes.video)
    error = (video.astype(np.float32) - scenes.video) ** 2
    colormaps = np.stack([encode_entities(ids, rng)[0] for ids in scenes.entity_ids])
    colormaps, entity_latents = reconstruct(vae, colormaps)
    entities = entity_quality(np.stack([decode_entities(clip) for clip in colormaps]), scenes.entity_ids)
    truth = scenes.depth / np.float32(255)
    colormaps, depth_latents = reconstruct(vae, encode_depth(truth))
    depth = decode_depth(colormaps)
    scores = [
        evaluate_depth_maps(*pair, alignment="none", min_value=MIN_DEPTH).delta1
        for pair in zip(depth, truth, strict=True)
    ]
    return {
        "video_psnr_db": float(np.mean(10 * np.log10(255**2 / error.mean((1, 2, 3, 4))))),
        "entity_miou": entities["iou"],
        "depth_delta1": float(np.mean(scores)),
        "depth_mae": float(np.abs(depth - truth).mean()),
        "latents_std_video": float(video_latents.std()),
        "latents_std_entities": float(entity_latents.std()),
        "latents_std_depth": float(depth_latents.std()),
        "active_channels": int((video_latents.std((0, 1, 3, 4)) > 0.2).sum()),
    }
