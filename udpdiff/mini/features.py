"""The mini feature extractors of the metrics, on procedural scenes that no other mini checkpoint was trained on.

The image and video encoders start from the subject encoder.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch

from udpdiff.mini.feature_labels import label_scenes
from udpdiff.mini.feature_models import LEARNERS
from udpdiff.mini.feature_warm_start import start_image_encoder, start_video_encoder
from udpdiff.mini.scenes import VARIED_SCENES, load_scenes
from udpdiff.mini.training import Budget, Options, Recipe, Trainer, cosine, save_half

FIRST_SEED = 3_000_000
BATCH_SIZE = {"subject_encoder": 32, "image_encoder": 48, "video_encoder": 16}
PEAK_LEARNING_RATE = {"subject_encoder": 1.5e-3, "image_encoder": 1e-3, "video_encoder": 1e-3}
START = {"image_encoder": start_image_encoder, "video_encoder": start_video_encoder}


class FeatureTrainer(Trainer):
    """The encoder that the stage is named after."""

    continues = False  # what it starts from is another model
    train_scenes, held_out_scenes = 2000, 256

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        self.name = options.stage
        self.rng = np.random.default_rng([options.seed, 7])
        self.model = LEARNERS[self.name]().train()
        if self.second:
            START[self.name](self.model.model, options.start_from)
        schedule = partial(cosine, floor=0.03)
        self.recipe = Recipe(PEAK_LEARNING_RATE[self.name], warmup_steps=40, schedule=schedule, average_decay=0.0)
        self.scenes = label_scenes(load_scenes(VARIED_SCENES, FIRST_SEED, self.train_scenes, options.cache))
        self.held_out = label_scenes(self.load_held_out(VARIED_SCENES))
        start = "from the subject encoder's weights" if self.second else "from random weights"
        self.data = f"{self.train_scenes} rendered scenes, seeds from {FIRST_SEED}, {VARIED_SCENES}; {start}"

    def loss(self, budget: Budget) -> torch.Tensor:
        chosen = self.rng.choice(self.train_scenes, BATCH_SIZE[self.name], replace=False)
        return self.model.loss(self.scenes, chosen, self.rng)

    def measure(self, model, finished: bool) -> dict[str, float]:
        return model.evaluate(self.held_out)

    def save(self, model, folder: Path) -> None:
        save_half(model.model, folder)
        if hasattr(model, "tokenizer"):
            model.tokenizer.save_pretrained(folder)
