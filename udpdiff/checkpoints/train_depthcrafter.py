"""Trains the U-Net of `mini:depthcrafter` from nothing, on the latents of a trained VAE.

    python -m udpdiff.checkpoints.train_depthcrafter --vae DIR --out DIR (--steps N | --minutes M) [--seed S]
        [--start-from DIR]

--start-from goes on with a DepthCrafter folder's weights on scenes as the default run's: fewer and bigger solids.

The U-Net denoises the depth of whole clips, told of their video. Its preconditioning is that of Stable Video Diffusion,
under which a squared error of the output weighs every noise level alike. The five steps of DepthCrafter pass the noise
levels 700, 135, 15.6, 0.68 and 0.002: the third finds the answer, the fourth sharpens it, and these are trained most.

Source: DepthCrafter (arXiv 2409.02095); preconditioning of Karras et al. 2022 (EDM), v-prediction of SVD.
"""

from __future__ import annotations

import argparse
import copy
import math
import shutil
from pathlib import Path

import numpy as np
import torch

from udpdiff.checkpoints import depth_quality, depthcrafter_model
from udpdiff.checkpoints.budget import add_budget_arguments
from udpdiff.checkpoints.card import steps_of
from udpdiff.checkpoints.labeller_training import HELD_OUT_SEED, describe, log_path, train
from udpdiff.checkpoints.scene_cache import BLOCK_SCENES, DEFAULT_SCENES, cached_scenes
from udpdiff.checkpoints.scene_maps import SceneMaps, open_scene_maps
from udpdiff.checkpoints.train_depthcrafter_vae import SCENES, distort_clip, to_grey
from udpdiff.labelling.depth_anything import DepthAnything
from udpdiff.labelling.depthcrafter import ADDED_TIME_IDS, DepthCrafter
from udpdiff.sources.scenes import SceneSettings
from udpdiff.storage.folders import replace_folder
from udpdiff.training.attention_kernel import training_attention

TRAIN_SCENES, HELD_OUT_SCENES, BATCHES_PER_BLOCK = 4000, 48, 500
BATCH_CLIPS, PEAK_LEARNING_RATE, WARMUP_STEPS = 2, 2e-3, 40
HIGH_NOISE_SHARE, HIGH_NOISE = 0.6, (4.0, 700.0)  # of a batch, uniform in the logarithm; the rest is log-normal
LOW_NOISE_MEDIAN, LOW_NOISE_SPREAD = 0.7, 0.7
STEADINESS_WEIGHT = 0.5
NOTES = (
    "A DepthCrafter folder of 64 x 64 px and 9 frames, latents 4x smaller than frames; five steps, no guidance. The image "
    "encoder is random and was never trained: where DepthCrafter has CLIP's view of each frame, the U-Net gets a fixed "
    "random summary of it. `vae/` was trained before and has a card too.\n\n"
    "Temporal error: mean absolute difference between the change of the aligned depth from frame to frame and that of the "
    "truth, whose range is 1; true change: what it would be for a picture that stands still. Flicker: mean absolute change "
    "where the truth stands still. Per frame: the same of mini:depth_anything on the same scenes."
)


class ClipPool:
    """Encoded clips to train on: BLOCK_SCENES more every BATCHES_PER_BLOCK batches, so that training starts at once.

    Every clip is distorted in its own way, half of them are mirrored, and what the U-Net is told of it is found by
    DepthCrafter itself.
    """

    def __init__(
        self,
        crafter: DepthCrafter,
        scenes: SceneSettings,
        num_scenes: int,
        generator: torch.Generator,
        cache: Path | None,
    ) -> None:
        self.crafter, self.generator = crafter, generator
        self.scenes, self.num_scenes, self.cache = scenes, num_scenes, cache
        self.batches, self.clips = 0, []

    def batch(self, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Embeddings (count, T, D), video latents, unscaled, and depth latents, scaled, (count, T, C, h, w), float32.

        Half of the clips run backwards.
        """
        if self.batches % BATCHES_PER_BLOCK == 0 and len(self.clips) < self.num_scenes:
            block = cached_scenes(self.scenes, BLOCK_SCENES, len(self.clips), self.cache)
            self.clips.extend(self.encode(*scene) for scene in zip(block.video, block.depth, strict=True))
        self.batches += 1
        chosen = []
        for _ in range(count):
            clip = [part.float() for part in self.clips[self._draw(len(self.clips))]]
            chosen.append([part.flip(0) for part in clip] if self._chance(0.5) else clip)
        return tuple(torch.stack(part) for part in zip(*chosen, strict=True))

    def encode(self, video: np.ndarray, depth: np.ndarray) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One clip, float16: embeddings (T, D), video latents and depth latents (T, C, h, w)."""
        vae = self.crafter.vae
        frames, grey = distort_clip(video, self.generator), to_grey(depth)
        if self._chance(0.5):
            frames, grey = frames.flip(-1), grey.flip(-1)
        told = self.crafter.condition(frames, torch.randn(frames.shape, generator=self.generator))
        with torch.no_grad():
            depth_latents = vae.encode(grey).latent_dist.mode() * vae.config.scaling_factor
        return tuple(part.half() for part in (*told, depth_latents))

    def _draw(self, count: int) -> int:
        return int(torch.randint(count, (), generator=self.generator))

    def _chance(self, share: float) -> bool:
        return bool(torch.rand((), generator=self.generator) < share)


def draw_sigmas(count: int, generator: torch.Generator) -> torch.Tensor:
    """Noise levels (count,), around those of DepthCrafter's steps."""
    low, high = (math.log(end) for end in HIGH_NOISE)
    uniform = low + (high - low) * torch.rand(count, generator=generator)
    normal = math.log(LOW_NOISE_MEDIAN) + LOW_NOISE_SPREAD * torch.randn(count, generator=generator)
    return torch.where(torch.rand(count, generator=generator) < HIGH_NOISE_SHARE, uniform, normal).exp()


def objective(unet, batch: tuple[torch.Tensor, ...], generator: torch.Generator) -> torch.Tensor:
    """Squared error of the output and of its change from frame to frame, at random noise levels."""
    embeddings, video_latents, clean = batch
    sigmas = draw_sigmas(len(clean), generator)
    level = sigmas[:, None, None, None, None]
    noisy = clean + level * torch.randn(clean.shape, generator=generator)
    told = torch.cat((noisy / (level**2 + 1).sqrt(), video_latents), dim=2)
    time_ids = torch.tensor([ADDED_TIME_IDS] * len(clean))
    with torch.autocast("cpu", torch.bfloat16), training_attention(told[0, 0, 0].numel(), told.device, "bf16"):
        output = unet(told, 0.25 * sigmas.log(), embeddings, time_ids).float()
    # clean = noisy / (level^2 + 1) - output level / sqrt(level^2 + 1), as EulerDiscreteScheduler reads the output
    target = (noisy / (level**2 + 1) - clean) * (level**2 + 1).sqrt() / level
    error = output - target
    return error.square().mean() + STEADINESS_WEIGHT * error.diff(dim=1).square().mean()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_budget_arguments(parser)
    parser.add_argument("--vae", type=Path, required=True, help="folder of the trained VAE")
    parser.add_argument("--start-from", type=Path, help="DepthCrafter folder whose weights to go on from")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    crafter = build_crafter(args)
    scenes = DEFAULT_SCENES if args.start_from else SCENES
    pool = ClipPool(crafter, scenes, TRAIN_SCENES, torch.Generator().manual_seed(args.seed), args.cache)
    held_out = open_scene_maps(DEFAULT_SCENES, HELD_OUT_SEED, HELD_OUT_SCENES, args.cache)

    def draw_loss(unet, generator):
        return objective(unet, pool.batch(BATCH_CLIPS), generator)

    def save(unet, budget, log):
        trained = DepthCrafter(unet, crafter.vae, crafter.image_encoder, crafter.scheduler)
        quality = measure(trained, held_out, finished=budget.progress == 1)
        log.add(step=budget.step, seconds=budget.elapsed_seconds, **quality)
        print(log.rows[-1], flush=True)
        data = f"{len(pool.clips)} procedural scenes (seeds from 0) with their exact depth, {scenes}"
        export(trained, args, data, quality, log)

    unet = copy.deepcopy(crafter.unet).train().requires_grad_(True)
    train(unet, draw_loss, save, args, PEAK_LEARNING_RATE, WARMUP_STEPS)


def build_crafter(args) -> DepthCrafter:
    """The trained VAE with random weights for the rest, or with those of a DepthCrafter folder, in float32."""
    parts = depthcrafter_model
    if args.start_from:
        former = DepthCrafter.from_pretrained(args.start_from, device="cpu", dtype=torch.float32)
        return DepthCrafter(former.unet, parts.load_vae(args.vae), former.image_encoder, former.scheduler)
    return DepthCrafter(
        parts.build_unet(), parts.load_vae(args.vae), parts.build_image_encoder(), parts.build_scheduler()
    )


def measure(crafter: DepthCrafter, held_out: SceneMaps, finished: bool) -> dict[str, float]:
    """Quality on held-out scenes; once finished on all of them, beside that of mini:depth_anything."""
    if not finished:
        return depth_quality.measure(crafter.estimate, held_out, 4)
    quality = depth_quality.measure(crafter.estimate, held_out, HELD_OUT_SCENES)
    per_frame = DepthAnything.from_pretrained("mini:depth_anything", device="cpu")
    compared = depth_quality.measure(per_frame.estimate, held_out, HELD_OUT_SCENES)
    return quality | {f"{name}_per_frame": compared[name] for name in ("delta1_acc", "temporal_error", "flicker")}


def export(crafter: DepthCrafter, args, data: str, quality: dict, log) -> None:
    """Put the checkpoint in place: float16 weights, log and card, and the VAE with its own card."""
    with replace_folder(args.out) as folder:
        depthcrafter_model.save(folder, crafter.unet, crafter.image_encoder)
        shutil.copytree(args.vae, folder / "vae")
        shutil.copy(log_path(args.out), folder / "training.jsonl")
        first = f"\n\nThe first {steps_of(args.start_from)} steps saw {SCENES}." if args.start_from else ""
        describe(folder, args, data, quality, log.rows, NOTES + first)


if __name__ == "__main__":
    main()
