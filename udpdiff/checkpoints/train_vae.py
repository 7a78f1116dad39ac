"""Trains the VAE of `mini:cogvideox`: AutoencoderKLCogVideoX, three levels, on scenes and on colormaps of their truth.

    python -m udpdiff.checkpoints.train_vae --out DIR (--steps N | --minutes M) [--seed S] [--refine VAE]

With --refine, a trained VAE's decoder goes on learning on whole pictures; its encoder, so every latent, stays as it is.

Objective: L1 + L1 of spatial and temporal differences (edges decide where an entity ends) + a small KL term. The
decoder sees noisy latents and, for part of a batch, half-size latents, so that small errors of a diffusion model stay
small and the latents stay smooth enough to diffuse.

Source: objective of Rombach et al. 2022 (latent diffusion); half-size latents after Skorokhodov et al. 2025.
"""

from __future__ import annotations

import argparse
import copy
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from udpdiff.checkpoints import vae_quality
from udpdiff.checkpoints.budget import Budget, TrainingLog, add_budget_arguments, follow
from udpdiff.checkpoints.card import steps_of, write_card
from udpdiff.checkpoints.scene_cache import HELD_OUT_SEED, CachedScenes, cached_scenes
from udpdiff.sources.scenes import SceneSettings
from udpdiff.storage.folders import replace_folder
from udpdiff.training.muon import MuonAdam

SETTINGS = SceneSettings(height=64, width=64, num_frames=9, fps=8.0)
WIDTHS = (16, 32, 64)
TRAIN_SCENES, HELD_OUT_SCENES = 1250, 48
CROP, CROP_BATCH, FULL_BATCH = 32, 12, 4
FULL_SIZE_FROM = 0.8  # share of the training after which whole pictures replace crops
PEAK_LEARNING_RATE, REFINE_LEARNING_RATE, WARMUP_STEPS, EMA_DECAY = 4e-3, 1.5e-3, 30, 0.998
KL_WEIGHT, EDGE_WEIGHT, HALF_SIZE_WEIGHT, LATENT_NOISE = 6e-4, 0.5, 0.25, 0.15
SAVE_EVERY_SECONDS = 300


def build_vae():
    """The VAE's architecture with random weights: 4x spatial, 4x temporal, 16 latent channels."""
    from diffusers import AutoencoderKLCogVideoX

    return AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 3,
        up_block_types=("CogVideoXUpBlock3D",) * 3,
        block_out_channels=WIDTHS,
        latent_channels=16,
        layers_per_block=1,
        norm_num_groups=4,
        temporal_compression_ratio=4,
        sample_height=SETTINGS.height,
        sample_width=SETTINGS.width,
        scaling_factor=1.0,
    )


def load_decoder_to_refine(folder: Path):
    """A trained VAE, in float32, whose encoder is frozen; its latents are scaled as before."""
    from diffusers import AutoencoderKLCogVideoX

    vae = AutoencoderKLCogVideoX.from_pretrained(folder).float()
    vae.encoder.requires_grad_(False)
    return vae


class PictureSampler:
    """Draws training pictures: in turn a scene's video, its entities in random colours, its depth in Spectral."""

    def __init__(self, scenes: CachedScenes, rng: np.random.Generator) -> None:
        self.scenes, self.rng, self.table = scenes, rng, vae_quality.spectral_table()

    def batch(self, count: int, crop: int | None) -> torch.Tensor:
        """Float (count, 3, F, h, w) in [-1, 1]; whole pictures when crop is None."""
        return vae_quality.to_pixel_values(np.stack([self._picture(index % 3, crop) for index in range(count)]))

    def _picture(self, stream: int, crop: int | None) -> np.ndarray:
        rng, scene = self.rng, int(self.rng.integers(len(self.scenes)))
        height, width = self.scenes.entity_ids.shape[2:]
        top, left = (0, 0) if crop is None else (rng.integers(height - crop + 1), rng.integers(width - crop + 1))
        window = np.s_[scene, :, top : top + (crop or height), left : left + (crop or width)]
        if stream == 0:
            picture = self.scenes.video[window]
        elif stream == 1:
            picture = vae_quality.entity_palettes(1, rng, black_share=0.06)[0][self.scenes.entity_ids[window]]
        else:
            picture = self.table[self.scenes.depth[window]]
        picture = picture[:, :, ::-1] if rng.random() < 0.5 else picture
        return picture[::-1] if rng.random() < 0.25 else picture


def _edges(difference: torch.Tensor) -> torch.Tensor:
    """Mean absolute slope of the error along x, y and time."""
    return sum(difference.diff(dim=axis).abs().mean() for axis in (2, 3, 4)) / 3


def objective(vae, pixel_values: torch.Tensor, half_size: bool) -> tuple[torch.Tensor, dict[str, float]]:
    """The training loss of one batch (B, 3, F, H, W) and its parts."""
    posterior = vae.encode(pixel_values).latent_dist
    mean, std = posterior.mean.float(), posterior.std.float()
    extra = LATENT_NOISE * torch.rand(len(mean), 1, 1, 1, 1)
    latents = mean + (std**2 + extra**2).sqrt() * torch.randn_like(mean)
    error = vae.decode(latents).sample.float() - pixel_values
    kl = 0.5 * (mean**2 + std**2 - 1 - posterior.logvar.float()).mean()
    l1, edge = error.abs().mean(), _edges(error)
    loss = l1 + EDGE_WEIGHT * edge + KL_WEIGHT * kl
    if half_size:
        part = slice(0, max(3, len(mean) // 4))
        small = F.avg_pool3d(latents[part], (1, 2, 2))
        target = F.avg_pool3d(pixel_values[part], (1, 2, 2))
        loss = loss + HALF_SIZE_WEIGHT * (vae.decode(small).sample.float() - target).abs().mean()
    return loss, {"l1": l1.item(), "edge": edge.item(), "kl": kl.item()}


@torch.no_grad()
def set_scaling_factor(vae, scenes: CachedScenes) -> None:
    """Write 1 / std of the latents of video and colormaps into the configuration."""
    sampler = PictureSampler(scenes, np.random.default_rng(1))
    means = [vae.encode(sampler.batch(12, None)).latent_dist.mode() for _ in range(8)]
    vae.register_to_config(scaling_factor=round(float(1 / torch.cat(means).std()), 4))


def export(
    vae, args, budget: Budget, log: TrainingLog, train: CachedScenes, held_out: CachedScenes
) -> dict[str, float]:
    """Scale, measure and put the VAE in place, as float16 weights with a card."""
    vae = copy.deepcopy(vae).eval()
    if args.refine is None:
        set_scaling_factor(vae, train)
    quality = vae_quality.measure(vae, held_out)
    log.add(step=budget.step, **quality)

    with replace_folder(args.out) as folder:
        vae.half().save_pretrained(folder)
        write_card(
            folder,
            name="cogvideox/vae",
            notes=""
            if args.refine is None
            else f"Decoder refined from {steps_of(args.refine)} steps of the whole VAE.",
            data=f"video, random-colour entities and Spectral depth of {len(train)} scenes (seeds from 0), {SETTINGS}",
            steps=budget.step,
            seed=args.seed,
            quality=quality,
            curve=[(row["step"], row["loss"]) for row in log.rows if "loss" in row],
        )
    return quality


def train(args: argparse.Namespace) -> dict[str, float]:
    """Train, log, export every few minutes and at the end; returns the quality on held-out scenes."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    scenes = cached_scenes(SETTINGS, TRAIN_SCENES, 0, args.cache)
    held_out = cached_scenes(SETTINGS, HELD_OUT_SCENES, HELD_OUT_SEED, args.cache)
    sampler = PictureSampler(scenes, np.random.default_rng(args.seed))
    vae = build_vae() if args.refine is None else load_decoder_to_refine(args.refine)
    ema = copy.deepcopy(vae).requires_grad_(False)
    weights = [weight for weight in vae.parameters() if weight.requires_grad]
    kernels, others = ([w for w in weights if (w.ndim > 2) == wide] for wide in (True, False))
    peak = PEAK_LEARNING_RATE if args.refine is None else REFINE_LEARNING_RATE
    optimizer = MuonAdam(kernels, others, lr=peak)
    budget, log = Budget(args.steps, args.minutes), TrainingLog(args.out.with_name(args.out.name + ".training.jsonl"))
    next_save, parts_seen = SAVE_EVERY_SECONDS, []
    while budget.progress < 1:
        full = budget.progress >= FULL_SIZE_FROM or args.refine is not None
        pixel_values = sampler.batch(FULL_BATCH if full else CROP_BATCH, None if full else CROP)
        for group in optimizer.param_groups:
            group["lr"] = budget.learning_rate(peak, WARMUP_STEPS)
        with torch.autocast("cpu", torch.bfloat16):
            loss, parts = objective(vae, pixel_values, half_size=budget.step % 2 == 0 and args.refine is None)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        budget.step += 1
        follow(ema, vae, min(EMA_DECAY, (1 + budget.step) / (10 + budget.step)))
        parts_seen.append({"loss": loss.item()} | parts)
        if budget.step % 50 == 0:
            means = {name: float(np.mean([row[name] for row in parts_seen])) for name in parts_seen[0]}
            log.add(step=budget.step, seconds=budget.elapsed_seconds, **means)
            parts_seen = []
        if budget.elapsed_seconds > next_save and budget.progress < 1:
            next_save = budget.elapsed_seconds + SAVE_EVERY_SECONDS
            export(ema, args, budget, log, scenes, held_out.head(12))
    return export(ema, args, budget, log, scenes, held_out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_budget_arguments(parser)
    parser.add_argument("--refine", type=Path, default=None, help="folder of a trained VAE: train its decoder only")
    print(train(parser.parse_args()))


if __name__ == "__main__":
    main()
