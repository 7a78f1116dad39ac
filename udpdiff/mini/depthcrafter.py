"""The U-Net of `mini:depthcrafter`, on the latents of a trained VAE.

The second stage goes on with a DepthCrafter folder's weights on scenes as the default run's: fewer and bigger solids.

The U-Net denoises the depth of whole clips, given their video. Its preconditioning is that of Stable Video Diffusion,
under which a squared error of the output weighs every noise level alike. The five steps of DepthCrafter pass the noise
levels 700, 135, 15.6, 0.68 and 0.002: the third finds the answer, the fourth sharpens it, and these are trained most.

Source: DepthCrafter (arXiv 2409.02095); preconditioning of Karras et al. 2022 (EDM), v-prediction of SVD.
"""

from __future__ import annotations

import copy
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from udpdiff.labelling.depth_anything import DepthAnything
from udpdiff.labelling.depthcrafter import ADDED_TIME_IDS, DepthCrafter
from udpdiff.mini import depthcrafter_model as parts
from udpdiff.mini.depthcrafter_vae import distort_clip, to_grey
from udpdiff.mini.quality import depth_quality
from udpdiff.mini.scenes import DEFAULT_SCENES, VARIED_SCENES, Scenes, scene_blocks
from udpdiff.mini.training import Budget, Options, Recipe, Trainer, save_half
from udpdiff.training.attention import training_attention

BATCHES_PER_BLOCK, BATCH_CLIPS = 500, 2
HIGH_NOISE_SHARE, HIGH_NOISE = 0.6, (4.0, 700.0)  # of a batch, uniform in the logarithm; the rest is log-normal
LOW_NOISE_MEDIAN, LOW_NOISE_SPREAD = 0.7, 0.7
STEADINESS_WEIGHT = 0.5
COMPARED = ("delta1_acc", "flicker")
NOTES = (
    "A DepthCrafter folder of 64 x 64 px and 9 frames, latents 4x smaller than frames; five steps, no guidance. The image "
    "encoder is random and was never trained: where DepthCrafter has CLIP's view of each frame, the U-Net gets a fixed "
    "random summary of it. `vae/` was trained before and has a card too.\n\n"
    "Flicker: how much the depth of a surface changes from frame to frame beyond what its true depth does, as a share of "
    "depth; true change: what a depth map that never changes would get. Per frame: the same of mini:depth_anything on the "
    "same scenes."
)


class ClipPool:
    """Encoded clips to train on: a block of scenes more every BATCHES_PER_BLOCK batches, so that training starts at once.

    Every clip is distorted in its own way, half of them are mirrored, and what the U-Net is conditioned on is found by
    DepthCrafter itself.
    """

    def __init__(self, crafter: DepthCrafter, blocks: Iterator[Scenes], generator: torch.Generator) -> None:
        self.crafter, self.blocks, self.generator = crafter, blocks, generator
        self.batches, self.clips = 0, []

    def batch(self, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Embeddings (count, T, D), video latents, unscaled, and depth latents, scaled, (count, T, C, h, w), float32.

        Half of the clips run backwards.
        """
        if self.batches % BATCHES_PER_BLOCK == 0 and (block := next(self.blocks, None)):
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
        conditions = self.crafter.condition(frames, torch.randn(frames.shape, generator=self.generator))
        with torch.no_grad():
            depth_latents = vae.encode(grey).latent_dist.mode() * vae.config.scaling_factor
        return tuple(part.half() for part in (*conditions, depth_latents))

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
    conditioned = torch.cat((noisy / (level**2 + 1).sqrt(), video_latents), dim=2)
    time_ids = torch.tensor([ADDED_TIME_IDS] * len(clean))
    with (
        torch.autocast("cpu", torch.bfloat16),
        training_attention(conditioned[0, 0, 0].numel(), conditioned.device, "bf16"),
    ):
        output = unet(conditioned, 0.25 * sigmas.log(), embeddings, time_ids).float()
    # clean = noisy / (level^2 + 1) - output level / sqrt(level^2 + 1), as EulerDiscreteScheduler reads the output
    target = (noisy / (level**2 + 1) - clean) * (level**2 + 1).sqrt() / level
    error = output - target
    return error.square().mean() + STEADINESS_WEIGHT * error.diff(dim=1).square().mean()


class DepthCrafterTrainer(Trainer):
    """The U-Net, from nothing or from the folder that start_from names; the rest of the folder comes along."""

    name = "depthcrafter"
    notes = NOTES
    train_scenes, held_out_scenes = 4000, 48
    recipe = Recipe(2e-3, warmup_steps=40)

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.crafter = build_crafter(options)
        settings = DEFAULT_SCENES if self.second else VARIED_SCENES
        blocks = scene_blocks(settings, 0, self.train_scenes, options.cache)
        self.pool = ClipPool(self.crafter, blocks, torch.Generator().manual_seed(options.seed))
        self.held_out = self.render_held_out(DEFAULT_SCENES)
        self.model = copy.deepcopy(self.crafter.unet).train().requires_grad_(True)
        self.data = f"{self.train_scenes} procedural scenes (seeds from 0) with their exact depth, {settings}"
        self.data += f"; before, {VARIED_SCENES}" if self.second else ""

    def loss(self, budget: Budget) -> torch.Tensor:
        return objective(self.model, self.pool.batch(BATCH_CLIPS), self.generator)

    def measure(self, model, finished: bool) -> dict[str, float]:
        """Quality on held-out scenes; once finished on all of them, beside that of mini:depth_anything."""
        crafter = DepthCrafter(model, self.crafter.vae, self.crafter.image_encoder, self.crafter.scheduler)
        if not finished:
            return depth_quality(crafter.estimate, self.held_out[:4])
        per_frame = depth_quality(DepthAnything.from_pretrained("mini:depth_anything", "cpu").estimate, self.held_out)
        quality = depth_quality(crafter.estimate, self.held_out)
        return quality | {f"{name}_per_frame": per_frame[name] for name in COMPARED}

    def save(self, model, folder: Path) -> None:
        """All parts where `DepthCrafter.from_pretrained` looks for them; the VAE with its own card."""
        save_half(model, folder / "unet")
        save_half(self.crafter.image_encoder, folder / "image_encoder")
        self.crafter.scheduler.save_pretrained(folder / "scheduler")
        shutil.copytree(self.options.vae, folder / "vae")


def build_crafter(options: Options) -> DepthCrafter:
    """The trained VAE with random weights for the rest, or with those of a DepthCrafter folder, in float32."""
    vae = parts.load_vae(options.vae)
    if options.start_from:
        earlier = DepthCrafter.from_pretrained(str(options.start_from), device="cpu", dtype=torch.float32)
        return DepthCrafter(earlier.unet, vae, earlier.image_encoder, earlier.scheduler)
    return DepthCrafter(parts.build_unet(), vae, parts.build_image_encoder(), parts.build_scheduler())
