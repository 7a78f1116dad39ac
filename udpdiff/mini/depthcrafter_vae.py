"""The VAE of `mini:depthcrafter` on frames of scenes and on their depth in grey.

Objective: L1 + L1 of spatial and temporal differences + a small KL term. The decoder sees noisy latents, so that small
errors of the denoiser stay small. The second stage goes on with the decoder alone, on depth alone, in which a share
of the distance counts alike near and far; its latents, and a U-Net trained on them, stay as they are.

Source: objective of Rombach et al. 2022 (latent diffusion); temporal decoder of Blattmann et al. 2023 (SVD).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from udpdiff.mini.augmentation import distort_images
from udpdiff.mini.depthcrafter_model import NUM_FRAMES, build_vae, load_vae
from udpdiff.mini.scenes import DEFAULT_SCENES, VARIED_SCENES, Scenes
from udpdiff.mini.training import Budget, Options, Recipe, Trainer, save_half

# Stretches are decoded together, as DepthCrafter decodes eight frames and then the rest.
BATCH_FRAMES, CHUNKS, REFINED_CHUNKS = 4, (1, 4), (8, 8, 8, 1)
PEAK_LEARNING_RATE, SECOND_LEARNING_RATE = 4e-3, 1.5e-3
KL_WEIGHT, EDGE_WEIGHT, LATENT_NOISE = 6e-4, 0.5, 0.15
FARTHEST = 0.1  # of depth in [0, 1], about the backdrop's disparity


def to_grey(depth: np.ndarray) -> torch.Tensor:
    """Depth uint8 (T, H, W), 255 = nearest -> pixel values (T, 3, H, W) in [-1, 1]."""
    return (torch.from_numpy(depth).float() / 127.5 - 1)[:, None].expand(-1, 3, -1, -1)


def distort_clip(video: np.ndarray, generator: torch.Generator) -> torch.Tensor:
    """Video uint8 (T, H, W, 3) -> float32 (T, 3, H, W) in [0, 1], all frames distorted alike."""
    tall = distort_images(torch.from_numpy(video).flatten(0, 1)[None], generator)[0]
    return tall.unflatten(1, video.shape[:2]).transpose(0, 1) / 255


def draw_below(count: int, generator: torch.Generator) -> int:
    """A number from 0 to count - 1."""
    return int(torch.randint(count, (1,), generator=generator))


def draw_batch(scenes: Scenes, generator: torch.Generator) -> tuple[torch.Tensor, int]:
    """Pixel values (BATCH_FRAMES, 3, H, W) of stretches of clips, in turn video and depth; the stretches' length."""
    length, first = CHUNKS[draw_below(len(CHUNKS), generator)], draw_below(2, generator)
    parts = []
    for index in range(BATCH_FRAMES // length):
        scene, start = draw_below(len(scenes), generator), draw_below(NUM_FRAMES - length + 1, generator)
        window = np.s_[scene, start : start + length]
        if (first + index) % 2:
            part = distort_clip(scenes.video[window], generator) * 2 - 1
        else:
            part = to_grey(scenes.depth[window])
        parts.append(part.flip(-1) if draw_below(2, generator) else part)
    return torch.cat(parts), length


def objective(vae, pixel_values: torch.Tensor, num_frames: int, generator: torch.Generator) -> torch.Tensor:
    """The loss of a batch (N, 3, H, W) of stretches of num_frames."""
    with torch.autocast("cpu", torch.bfloat16):
        posterior = vae.encode(pixel_values).latent_dist
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        extra = LATENT_NOISE * torch.rand(len(mean), 1, 1, 1, generator=generator)
        noise = torch.randn(mean.shape, generator=generator)
        decoded = vae.decode(mean + (logvar.exp() + extra**2).sqrt() * noise, num_frames=num_frames).sample
    error = decoded.float() - pixel_values
    edges = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    if num_frames > 1:
        edges = edges + error.unflatten(0, (-1, num_frames)).diff(dim=1).abs().mean()
    kl = 0.5 * (mean**2 + logvar.exp() - 1 - logvar).mean()
    return error.abs().mean() + EDGE_WEIGHT / 3 * edges + KL_WEIGHT * kl


def refining_objective(vae, scenes: Scenes, generator: torch.Generator) -> torch.Tensor:
    """The decoder's loss on stretches of depth."""
    length = REFINED_CHUNKS[draw_below(len(REFINED_CHUNKS), generator)]
    scene, start = draw_below(len(scenes), generator), draw_below(NUM_FRAMES - length + 1, generator)
    pixel_values = to_grey(scenes.depth[scene, start : start + length])
    pixel_values = pixel_values.flip(-1) if draw_below(2, generator) else pixel_values
    with torch.autocast("cpu", torch.bfloat16):
        with torch.no_grad():
            latents = vae.encode(pixel_values).latent_dist.mode().float()
        noise = LATENT_NOISE * torch.rand((), generator=generator) * torch.randn(latents.shape, generator=generator)
        decoded = vae.decode(latents + noise, num_frames=length).sample
    share = 1 / ((pixel_values + 1) / 2 + FARTHEST)  # of an error of disparity in the distance
    error = (decoded.float() - pixel_values) * share / share.mean()
    edges = sum(error.diff(dim=dim).abs().mean() for dim in (0, 2, 3) if error.shape[dim] > 1)
    return error.abs().mean() + EDGE_WEIGHT * edges


@torch.no_grad()
def measure(vae, scenes: Scenes) -> dict[str, float]:
    """PSNR of video and mean error of depth in [0, 1] after one pass, by chunks as DepthCrafter decodes them."""
    psnr, mae, stds = [], [], []
    for video, depth in zip(scenes.video, scenes.depth, strict=True):
        pixel_values = torch.from_numpy(video).permute(0, 3, 1, 2).float() / 127.5 - 1
        mse = (_reconstruct(vae, pixel_values)[0] - pixel_values).square().mean() / 4
        psnr.append(float(-10 * mse.log10()))
        decoded, latents = _reconstruct(vae, to_grey(depth))
        mae.append(float((decoded - to_grey(depth)).mean(1).abs().mean() / 2))
        stds.append(float(latents.square().mean()))
    return {
        "video_psnr_db": float(np.mean(psnr)),
        "depth_mae": float(np.mean(mae)),
        "depth_latents_rms": float(np.mean(stds) ** 0.5),
    }


def _reconstruct(vae, pixel_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    latents = vae.encode(pixel_values).latent_dist.mode()
    return torch.cat([vae.decode(part, num_frames=len(part)).sample for part in latents.split(8)]).clamp(-1, 1), latents


class DepthCrafterVaeTrainer(Trainer):
    """The whole VAE, or the decoder of one that start_from names."""

    name = "depthcrafter/vae"
    train_scenes, held_out_scenes = 1000, 48

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.recipe = Recipe(SECOND_LEARNING_RATE if self.second else PEAK_LEARNING_RATE, warmup_steps=30)
        settings = DEFAULT_SCENES if self.second else VARIED_SCENES
        self.scenes, self.held_out = self.load_scenes(settings), self.load_held_out(settings)
        self.data = f"frames and grey depth of {len(self.scenes)} procedural scenes (seeds from 0), {VARIED_SCENES}"
        if self.second:
            self.model = load_vae(options.start_from).train()
            self.model.requires_grad_(False).decoder.requires_grad_(True)
            self.data += f"; then the decoder on grey depth of as many (seeds from 0), {settings}"
        else:
            self.model = build_vae()

    def loss(self, budget: Budget) -> torch.Tensor:
        if self.second:
            return refining_objective(self.model, self.scenes, self.generator)
        return objective(self.model, *draw_batch(self.scenes, self.generator), self.generator)

    def measure(self, model, finished: bool) -> dict[str, float]:
        quality = measure(model, self.held_out if finished else self.held_out.head(8))
        if not self.second:
            model.register_to_config(scaling_factor=round(1 / quality["depth_latents_rms"], 4))
        return quality

    def save(self, model, folder: Path) -> None:
        save_half(model, folder)
