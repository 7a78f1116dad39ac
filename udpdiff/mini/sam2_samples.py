"""What the mini SAM 2 is trained on: stretches of procedural scenes, augmented, and imperfect first-frame prompts."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange, reduce

from udpdiff.mini.sam2_model import IMAGE_SIZE
from udpdiff.mini.scenes import Scenes
from udpdiff.pixel_statistics import IMAGENET_MEAN, IMAGENET_STD

STEPS_PER_BLOCK = 150


class ScenePool:
    """Training clips of one or more kinds of scenes in turn, a block more every `STEPS_PER_BLOCK` steps."""

    def __init__(self, kinds: list[Iterator[Scenes]]) -> None:
        self.waiting = (block for blocks in zip(*kinds, strict=True) for block in blocks)
        self.blocks: list[tuple[np.ndarray, np.ndarray]] = []

    def sample(self, step: int, num_frames: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """A random part of a random scene: video uint8 (L, H, W, 3) and entity ids (L, H, W), augmented."""
        for scenes in itertools.islice(self.waiting, max(0, 1 + step // STEPS_PER_BLOCK - len(self.blocks))):
            self.blocks.append((scenes.video, scenes.entity_ids))
        videos, ids = self.blocks[rng.integers(len(self.blocks))]
        index = rng.integers(len(videos))
        return augment(videos[index], ids[index], num_frames, rng)


def augment(video: np.ndarray, ids: np.ndarray, num_frames: int, rng: np.random.Generator):
    """Random stretch of frames, speed, direction, mirroring and colours of a clip, with chroma as in yuv420p."""
    stride = int(rng.integers(1, 1 + min(3, (len(video) - 1) // (num_frames - 1))))
    start = int(rng.integers(len(video) - (num_frames - 1) * stride))
    frames = start + stride * np.arange(num_frames)
    frames = frames[::-1] if rng.random() < 0.5 else frames
    video, ids = video[frames], ids[frames]
    if rng.random() < 0.5:
        video, ids = video[:, :, ::-1], ids[:, :, ::-1]
    if rng.random() < 0.15:
        video, ids = video[:, ::-1], ids[:, ::-1]
    colors = video[..., rng.permutation(3)] if rng.random() < 0.3 else video
    colors = colors * rng.uniform(0.85, 1.15, 3) + rng.normal(0, rng.choice([0.0, 3.0]), video.shape)
    if rng.random() < 0.5:
        grey = colors.mean(-1, keepdims=True)
        chroma = reduce(colors - grey, "l (h a) (w b) c -> l h w c", "mean", a=2, b=2)
        colors = grey + chroma.repeat(2, axis=1).repeat(2, axis=2)
    return np.clip(colors, 0, 255).astype(np.uint8), ids


def disturb_prompt(ids0: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """First-frame ids (H, W) with a segmenter's kind of errors: wobbly borders, at times a missing entity."""
    from scipy.ndimage import map_coordinates, zoom

    if rng.random() < 0.5:
        return ids0
    height, width = ids0.shape
    wobble = rng.normal(0, rng.uniform(0.3, 1.2), (2, height // 4, width // 4))
    offsets = np.stack([zoom(axis, 4, order=1) for axis in wobble])
    places = np.indices(ids0.shape) + offsets
    disturbed = map_coordinates(ids0, places, order=0, mode="nearest")
    present = np.unique(disturbed)
    if len(present) > 3 and rng.random() < 0.1:
        disturbed = np.where(disturbed == rng.choice(present), 0, disturbed)
    return disturbed


def normalise(video: np.ndarray, resampling: str = "bicubic") -> torch.Tensor:
    """uint8 (L, H, W, 3) -> float32 (L, 3, S, S), by default resampled as in `propagation.preprocess_frames`."""
    images = rearrange(torch.from_numpy(np.ascontiguousarray(video)), "l h w c -> l c h w").float()
    images = F.interpolate(images, (IMAGE_SIZE, IMAGE_SIZE), mode=resampling, antialias=True).clamp(0, 255)
    return (images / 255 - torch.tensor(IMAGENET_MEAN)[:, None, None]) / torch.tensor(IMAGENET_STD)[:, None, None]
