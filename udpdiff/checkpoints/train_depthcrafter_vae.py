"""Trains the VAE of `mini:depthcrafter` on frames of scenes and on their depth in grey.

    python -m udpdiff.checkpoints.train_depthcrafter_vae --out DIR (--steps N | --minutes M) [--seed S] [--refine DIR]

Objective: L1 + L1 of spatial and temporal differences + a small KL term. The decoder sees noisy latents, so that small
errors of the denoiser stay small. --refine goes on with a trained VAE's decoder alone, on depth alone, in which a share
of the distance counts alike near and far; its latents, and a U-Net trained on them, stay as they are.

Source: objective of Rombach et al. 2022 (latent diffusion); temporal decoder of Blattmann et al. 2023 (SVD).
"""

from __future__ import annotations

import argparse
import copy
import shutil
from pathlib import Path

import numpy as np
import torch

from udpdiff.checkpoints.augmentation import distort_images
from udpdiff.checkpoints.budget import add_budget_arguments
from udpdiff.checkpoints.depthcrafter_model import NUM_FRAMES, SIDE, build_vae, load_vae, save_part
from udpdiff.checkpoints.labeller_training import HELD_OUT_SEED, describe, log_path, train
from udpdiff.checkpoints.scene_cache import DEFAULT_SCENES, CachedScenes, cached_scenes
from udpdiff.sources.scenes import SceneSettings
from udpdiff.storage.folders import replace_folder

SCENES = SceneSettings(SIDE, SIDE, NUM_FRAMES, 8.0)
TRAIN_SCENES, HELD_OUT_SCENES = 1000, 48
BATCH_FRAMES, CHUNKS = (
    4,
    (1, 4),
)  # stretches are decoded together, as DepthCrafter decodes eight frames and then the rest
PEAK_LEARNING_RATE, REFINING_LEARNING_RATE, WARMUP_STEPS = 4e-3, 1.5e-3, 30
KL_WEIGHT, EDGE_WEIGHT, LATENT_NOISE = 6e-4, 0.5, 0.15
REFINED_CHUNKS, FARTHEST = (8, 8, 8, 1), 0.1  # as above; of depth in [0, 1], about the backdrop's disparity
DATA = f"frames and grey depth of {TRAIN_SCENES} procedural scenes (seeds from 0), {SCENES}"
REFINED_DATA = f"{DATA}; then the decoder on grey depth of {TRAIN_SCENES} (seeds from 0), {DEFAULT_SCENES}"


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


def draw_batch(scenes: CachedScenes, generator: torch.Generator) -> tuple[torch.Tensor, int]:
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


def refining_objective(vae, scenes: CachedScenes, generator: torch.Generator) -> torch.Tensor:
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
def measure(vae, scenes: CachedScenes) -> dict[str, float]:
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
        "video_psnr_db": round(float(np.mean(psnr)), 2),
        "depth_mae": round(float(np.mean(mae)), 4),
        "depth_latents_rms": round(float(np.mean(stds) ** 0.5), 4),
    }


def _reconstruct(vae, pixel_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    latents = vae.encode(pixel_values).latent_dist.mode()
    return torch.cat([vae.decode(part, num_frames=len(part)).sample for part in latents.split(8)]).clamp(-1, 1), latents


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_budget_arguments(parser)
    parser.add_argument("--refine", type=Path, help="folder of a VAE whose decoder goes on alone")
    args = parser.parse_args()
    args.start_from = args.refine
    torch.manual_seed(args.seed)
    settings = DEFAULT_SCENES if args.refine else SCENES
    scenes = cached_scenes(settings, TRAIN_SCENES, 0, args.cache)
    held_out = cached_scenes(settings, HELD_OUT_SCENES, HELD_OUT_SEED, args.cache)

    def draw_loss(vae, generator):
        if args.refine:
            return refining_objective(vae, scenes, generator)
        return objective(vae, *draw_batch(scenes, generator), generator)

    def save(vae, budget, log):
        vae = copy.deepcopy(vae)
        quality = measure(vae, held_out if budget.progress == 1 else held_out.head(8))
        if not args.refine:
            vae.register_to_config(scaling_factor=round(1 / quality["depth_latents_rms"], 4))
        log.add(step=budget.step, seconds=budget.elapsed_seconds, **quality)
        print(log.rows[-1], flush=True)
        with replace_folder(args.out) as folder:
            save_part(vae, folder)
            shutil.copy(log_path(args.out), folder / "training.jsonl")
            data = REFINED_DATA if args.refine else DATA
            describe(folder, args, data, quality, log.rows, name="depthcrafter/vae")

    vae = build_vae()
    if args.refine:
        vae = load_vae(args.refine).train()
        vae.requires_grad_(False)
        vae.decoder.requires_grad_(True)
    peak = REFINING_LEARNING_RATE if args.refine else PEAK_LEARNING_RATE
    train(vae, draw_loss, save, args, peak, WARMUP_STEPS)


if __name__ == "__main__":
    main()
