"""The VAE of `mini:cogvideox`: AutoencoderKLCogVideoX, three levels, on scenes and on colormaps of their truth.

One of 16 latent channels, as CogVideoX's, is trained first, then narrowed to those channels that a small transformer can
afford. After each of the two the decoder is trained alone, on whole pictures; the encoder, so every latent, stays then.

Objective: L1 + L1 of spatial and temporal differences (edges decide where an entity ends) + a small KL term. The
decoder sees noisy latents and, for part of a batch, half-size latents, so that small errors of a diffusion model stay
small and the latents stay smooth enough to diffuse.

Source: objective of Rombach et al. 2022 (latent diffusion); half-size latents after Skorokhodov et al. 2025.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange

from udpdiff.mini import vae_quality
from udpdiff.mini.latent_change import narrow_vae
from udpdiff.mini.pictures import draw_colors
from udpdiff.mini.scenes import VARIED_SCENES, Scenes
from udpdiff.mini.training import Budget, Options, Recipe, Trainer, save_half
from udpdiff.model.latents import encode_videos
from udpdiff.representations.spectral import encode_depth

WIDTHS = (16, 32, 64)
CROP, CROP_BATCH, FULL_BATCH = 32, 12, 4
SCALING_BATCHES = 8  # of CROP_BATCH whole pictures, whose spread is measured
FULL_SIZE_FROM = 0.8  # share of the training after which whole pictures replace crops
PEAK_LEARNING_RATE, NARROW_LEARNING_RATE, DECODER_LEARNING_RATE = 4e-3, 2.5e-3, 1.5e-3
KL_WEIGHT, EDGE_WEIGHT, HALF_SIZE_WEIGHT, LATENT_NOISE = 6e-4, 0.5, 0.25, 0.15
NARROW_CHANNELS = 8


def build_vae():
    """The architecture with random weights: 4x spatial, 4x temporal, 16 latent channels."""
    from diffusers import AutoencoderKLCogVideoX

    return AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 3,
        up_block_types=("CogVideoXUpBlock3D",) * 3,
        block_out_channels=WIDTHS,
        latent_channels=16,
        layers_per_block=1,
        norm_num_groups=4,
        temporal_compression_ratio=4,
        sample_height=VARIED_SCENES.height,
        sample_width=VARIED_SCENES.width,
        scaling_factor=1.0,
    )


def load_vae(folder: Path):
    """A trained VAE, in float32."""
    from diffusers import AutoencoderKLCogVideoX

    return AutoencoderKLCogVideoX.from_pretrained(folder).float()


class PictureSampler:
    """Draws training pictures: in turn a scene's video, its entities in random colours, its depth in Spectral."""

    def __init__(self, scenes: Scenes, rng: np.random.Generator) -> None:
        self.scenes, self.rng = scenes, rng

    def batch(self, count: int, crop: int | None) -> np.ndarray:
        """uint8 (count, F, h, w, 3); whole pictures when crop is None."""
        return np.stack([self._picture(index % 3, crop) for index in range(count)])

    def _picture(self, kind: int, crop: int | None) -> np.ndarray:
        rng, scene = self.rng, int(self.rng.integers(len(self.scenes)))
        height, width = self.scenes.entity_ids.shape[2:]
        top, left = (0, 0) if crop is None else (rng.integers(height - crop + 1), rng.integers(width - crop + 1))
        window = np.s_[scene, :, top : top + (crop or height), left : left + (crop or width)]
        if kind == 0:
            picture = self.scenes.video[window]
        elif kind == 1:
            picture = draw_colors(rng)[self.scenes.entity_ids[window]]
        else:
            picture = encode_depth(self.scenes.depth[window] / np.float32(255))
        picture = picture[:, :, ::-1] if rng.random() < 0.5 else picture
        return picture[::-1] if rng.random() < 0.25 else picture


def objective(vae, pixel_values: torch.Tensor, half_size: bool) -> torch.Tensor:
    """The training loss of one batch (B, 3, F, H, W)."""
    posterior = vae.encode(pixel_values).latent_dist
    mean, std = posterior.mean.float(), posterior.std.float()
    extra = LATENT_NOISE * torch.rand(len(mean), 1, 1, 1, 1)
    latents = mean + (std**2 + extra**2).sqrt() * torch.randn_like(mean)
    error = vae.decode(latents).sample.float() - pixel_values
    edges = sum(error.diff(dim=axis).abs().mean() for axis in (2, 3, 4)) / 3
    kl = 0.5 * (mean**2 + std**2 - 1 - posterior.logvar.float()).mean()
    loss = error.abs().mean() + EDGE_WEIGHT * edges + KL_WEIGHT * kl
    if half_size:
        part = slice(0, max(3, len(mean) // 4))
        small = F.avg_pool3d(latents[part], (1, 2, 2))
        target = F.avg_pool3d(pixel_values[part], (1, 2, 2))
        loss = loss + HALF_SIZE_WEIGHT * (vae.decode(small).sample.float() - target).abs().mean()
    return loss


class VaeTrainer(Trainer):
    """The whole VAE, from nothing: on parts of pictures, at the end on whole ones."""

    name = "cogvideox/vae"
    train_scenes, held_out_scenes = 1250, 48
    learning_rate = PEAK_LEARNING_RATE
    decoder_alone = False

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.scenes, self.held_out = self.load_scenes(VARIED_SCENES), self.load_held_out(VARIED_SCENES)
        self.sampler = PictureSampler(self.scenes, self.rng)
        self.model = self.build()
        self.recipe = Recipe(
            self.learning_rate, warmup_steps=30, weight_decay=0.0, adam_names=(), largest_matrix=math.inf
        )
        self.data = (
            f"video, random-colour entities and Spectral depth of {len(self.scenes)} scenes (seeds from 0), "
            f"{VARIED_SCENES}"
        )

    def build(self):
        """The model to train."""
        return build_vae()

    def loss(self, budget: Budget) -> torch.Tensor:
        full = self.decoder_alone or budget.progress >= FULL_SIZE_FROM
        pictures = self.sampler.batch(FULL_BATCH if full else CROP_BATCH, None if full else CROP)
        pixel_values = rearrange(torch.from_numpy(pictures), "b f h w c -> b c f h w").float() / 127.5 - 1
        with torch.autocast("cpu", torch.bfloat16):
            return objective(self.model, pixel_values, half_size=budget.step % 2 == 0 and not self.decoder_alone)

    def measure(self, model, finished: bool) -> dict[str, float]:
        if not self.decoder_alone:
            set_scaling_factor(model, self.scenes)
        return vae_quality.measure(model, self.held_out if finished else self.held_out.head(12))

    def save(self, model, folder: Path) -> None:
        save_half(model, folder)


class NarrowVaeTrainer(VaeTrainer):
    """The whole VAE with fewer latent channels, from the one that start_from names."""

    learning_rate = NARROW_LEARNING_RATE
    notes = f"The latent channels of an earlier VAE were narrowed to {NARROW_CHANNELS} by their principal directions."

    def build(self):
        wide = load_vae(self.options.start_from)
        return narrow_vae(wide, NARROW_CHANNELS, sample_latents(wide, self.scenes))


class VaeDecoderTrainer(VaeTrainer):
    """The decoder alone, of the VAE that start_from names; latents stay as they are, and so does their scale."""

    learning_rate = DECODER_LEARNING_RATE
    decoder_alone = True
    notes = "The last stage trained the decoder alone."

    def build(self):
        vae = load_vae(self.options.start_from)
        vae.encoder.requires_grad_(False)
        return vae


def sample_latents(vae, scenes: Scenes) -> np.ndarray:
    """Latents float32 (B, F, C, h, w) of video and colormaps, scaled."""
    sampler = PictureSampler(scenes, np.random.default_rng(1))
    return np.concatenate([encode_videos(vae, sampler.batch(CROP_BATCH, None)) for _ in range(SCALING_BATCHES)])


def set_scaling_factor(vae, scenes: Scenes) -> None:
    """Write 1 / std of the latents of video and colormaps into the configuration, which must say 1 so far."""
    vae.register_to_config(scaling_factor=round(float(1 / sample_latents(vae, scenes).std()), 4))
