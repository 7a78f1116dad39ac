"""What the trainers of labellers of single frames share: frames to learn from, starting weights, the folder's form."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from udpdiff.labelling.image_preparation import ImagePreparation
from udpdiff.mini.augmentation import distort_images
from udpdiff.mini.scenes import VARIED_SCENES
from udpdiff.mini.training import Options, Trainer, save_half
from udpdiff.pixel_statistics import IMAGENET_MEAN, IMAGENET_STD
from udpdiff.sources.scenes import SceneClip, SceneSettings

SIDE = 64


def preprocessor(kind: str, **settings) -> dict:
    """The configuration of an image processor of this class of transformers, for images of SIDE x SIDE px."""
    return {
        "image_processor_type": kind,
        "do_resize": True,
        "size": {"height": SIDE, "width": SIDE},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": list(IMAGENET_MEAN),
        "image_std": list(IMAGENET_STD),
        **settings,
    }


def draw_frames(
    video: np.ndarray, truth: np.ndarray, count: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Random frames of video (N, T, H, W, 3) with their truth (N, T, H, W), distorted, half of them mirrored.

    Returns:
        Images float32 (count, 3, H, W) in [0, 255], and the truth (count, H, W).
    """
    index = torch.randint(len(video), (count,), generator=generator).numpy()
    frame = torch.randint(video.shape[1], (count,), generator=generator).numpy()
    images = distort_images(torch.from_numpy(video[index, frame]), generator)
    targets = torch.from_numpy(truth[index, frame])
    mirrored = torch.rand(count, generator=generator) < 0.5
    images[mirrored], targets[mirrored] = images[mirrored].flip(-1), targets[mirrored].flip(-1)
    return images, targets


def first_frames(clips: list[SceneClip]) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (B, H, W, 3) of clips, and their entity ids (B, H, W)."""
    return np.stack([clip.video[0] for clip in clips]), np.stack([clip.entity_ids[0] for clip in clips])


def normalise(images: torch.Tensor, preparation: ImagePreparation) -> torch.Tensor:
    """Images (..., 3, H, W) in [0, 255] as the model wants them."""
    mean, std = (torch.tensor(numbers)[:, None, None] for numbers in (preparation.mean, preparation.std))
    return (images / 255 - mean) / std


def start_from(model, folder: Path | None):
    """The model with a checkpoint's weights, if one is named; parameters that it lacks keep the model's own start."""
    if folder is None:
        return model
    loaded, report = type(model).from_pretrained(
        folder, config=model.config, dtype=torch.float32, output_loading_info=True, trust_remote_code=False
    )
    for name in report["missing_keys"]:
        loaded.get_parameter(name).data.copy_(model.get_parameter(name))
    return loaded


class LabellerTrainer(Trainer):
    """A model of transformers on single frames of scenes.

    build: makes it with random weights. processor: the configuration of its image processor. truth: what it learns from,
    in words for the card.
    """

    build: Callable[[], torch.nn.Module]
    processor: dict
    truth: str
    train_scenes, held_out_scenes = 10_000, 256

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.model = start_from(type(self).build(), options.start_from)
        pairs = dataclasses.replace(self.settings, num_frames=2, fps=1.0)  # two frames of a scene tell all that nine do
        self.scenes = self.load_scenes(pairs)
        self.data = f"single frames of {self.train_scenes} procedural scenes, {pairs}, with their {self.truth}"
        self.held_out = self.render_held_out(self.settings)

    @property
    def settings(self) -> SceneSettings:
        return VARIED_SCENES

    def save(self, model, folder: Path) -> None:
        save_half(model, folder)
        (folder / "preprocessor_config.json").write_text(json.dumps(self.processor, indent=2) + "\n")
