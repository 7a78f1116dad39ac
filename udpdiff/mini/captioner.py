"""The mini Video-LLaVA on rendered scenes: it learns to write what the scenes' descriptions say.

Two stages. First the vision tower learns to name the solid behind each patch of a frame, from the image encoder's weights;
then the language model learns to write, and names the solids' patches too, by what all frames show. Naming is what a few
thousand captions alone do not teach; the layers that name are not kept.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from torch import nn

from udpdiff.labelling.captioner import INSTRUCTION, Captioner, uniform_frames, write_vicuna_prompt
from udpdiff.measures.captions import read_solids, true_solids
from udpdiff.metrics.caption_quality import caption_figures
from udpdiff.mini.augmentation import distort_images
from udpdiff.mini.captioner_model import (
    FRAME_TOKENS,
    IMAGE_SIDE,
    NUM_FRAMES,
    PATCH,
    build_model,
    build_processor,
    start_towers,
)
from udpdiff.mini.captioner_targets import LABELS, UNNAMED, patch_solids, seen_caption, seen_order, solid_labels, turned
from udpdiff.mini.feature_models import CLIP
from udpdiff.mini.labeller import start_from
from udpdiff.mini.scenes import DEFAULT_SCENES, Scenes
from udpdiff.mini.training import Budget, Options, Recipe, Trainer, save_half
from udpdiff.sources.scenes import COLORS, SHAPES

TOWER_STAGE = "captioner_tower"
FRAMES_PER_STEP, CLIPS_PER_STEP = 64, 8
NAMING_LAYER = 3  # of the language model: after it a patch must know what its solid does; the last layer reads it
NAMING_WEIGHT = 0.5
# Shape and motion are what is hard; size and shine can hardly be told.
WEIGHTS = {"shape": 2.0, "motion": 2.0, "size": 0.3, "shiny": 0.3}
_MOTION = list(LABELS).index("motion")  # from here on it takes several frames


class CaptionLearner(nn.Module):
    """The captioner with the two layers that name patches, and the losses of both stages."""

    def __init__(self, captioner) -> None:
        super().__init__()
        self.captioner = captioner
        width = captioner.config.text_config.hidden_size
        total = sum(len(values) for values in LABELS.values())
        self.seen_embed, self.moved_embed = nn.Linear(width, total), nn.Linear(width, total)
        self.processor = build_processor()
        prompt, video = write_vicuna_prompt(self.processor, INSTRUCTION), self.processor.video_token
        prompt = prompt.replace(video, video * (NUM_FRAMES * FRAME_TOKENS))
        self.prompt = torch.tensor(self.processor.tokenizer(prompt)["input_ids"])
        self.first_patch = int((self.prompt == captioner.config.video_token_index).nonzero()[0])

    def name_frames(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """Scores of all names of LABELS for the patches of frames (B, F, 3, H, W): (B, F, patches, names)."""
        seen = self.captioner.model.get_video_features(pixel_values).pooler_output
        return rearrange(self.seen_embed(seen)[:, 1:], "(b f) n c -> b f n c", f=pixel_values.shape[1])

    def write(self, pixel_values: torch.Tensor, captions: list[str], names: torch.Tensor) -> torch.Tensor:
        """The loss of clips (B, NUM_FRAMES, 3, H, W); names: int64 (B, NUM_FRAMES, patches, len(LABELS))."""
        words = self._encode(captions)
        inputs = torch.cat([self.prompt.expand(len(captions), -1), words[:, :-1].clamp(min=0)], 1)
        outputs = self.captioner(
            input_ids=inputs,
            pixel_values_videos=pixel_values,
            output_hidden_states=True,
            logits_to_keep=words.shape[1],
            use_cache=False,
        )
        spoken = nn.functional.cross_entropy(
            outputs.logits.float().flatten(0, 1), words.flatten(), ignore_index=UNNAMED
        )
        places = slice(self.first_patch, self.first_patch + NUM_FRAMES * FRAME_TOKENS)
        moved = self.moved_embed(outputs.hidden_states[NAMING_LAYER][:, places])
        moved = rearrange(moved, "b (f n) c -> b f n c", f=NUM_FRAMES)[:, :, 1:]
        return spoken + NAMING_WEIGHT * naming_loss(moved, names, len(LABELS))

    def _encode(self, captions: list[str]) -> torch.Tensor:
        tokenizer = self.processor.tokenizer
        rows = [[*tokenizer(caption)["input_ids"], tokenizer.eos_token_id] for caption in captions]
        longest = max(map(len, rows))
        return torch.tensor([row + [UNNAMED] * (longest - len(row)) for row in rows])


def naming_loss(scores: torch.Tensor, names: torch.Tensor, count: int) -> torch.Tensor:
    """Cross entropy of the first `count` attributes, their weighted mean; scores: (..., all names)."""
    parts = scores.float().split([len(values) for values in LABELS.values()], -1)[:count]
    losses = [
        nn.functional.cross_entropy(part.flatten(0, -2), names[..., column].flatten(), ignore_index=UNNAMED)
        for column, part in enumerate(parts)
    ]
    weights = [WEIGHTS.get(name, 1.0) for name in list(LABELS)[:count]]
    return sum(weight * loss for weight, loss in zip(weights, losses, strict=True)) / sum(weights)


class CaptionerTrainer(Trainer):
    """Video-LLaVA on clips of scenes."""

    name = "captioner"
    notes = (
        "Video-LLaVA. It started from the vision tower of mini:image_encoder, which first learnt alone to name the solid "
        "behind each patch; then the language model learnt to write. The image tower is a copy of the video tower and was "
        "never shown a picture by itself. It knows the words of rendered scenes alone and names solids from left to right."
    )
    train_scenes, held_out_scenes = 3000, 128
    recipe = Recipe(4e-3, warmup_steps=50, average_decay=0.99, adam_names=("embed", "bias", "lm_head"))

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        captioner = build_model()
        self.tower_alone = options.stage == TOWER_STAGE
        self.continues = not self.tower_alone
        if self.tower_alone:
            start_towers(captioner, options.start_from)
        else:
            captioner = start_from(captioner, options.start_from)
            captioner.model.video_tower.requires_grad_(False)
        captioner.model.image_tower.requires_grad_(False)
        captioner.set_attn_implementation("eager")  # on a CPU its backward pass takes half the time of sdpa's
        self.model = CaptionLearner(captioner).train()
        self.frames = uniform_frames(DEFAULT_SCENES.num_frames, DEFAULT_SCENES.fps)
        # Of the frames as the model sees them, scaled to IMAGE_SIDE.
        self.rows = ((np.arange(IMAGE_SIDE) + 0.5) * DEFAULT_SCENES.height / IMAGE_SIDE).astype(int)
        self.scenes = self.load_scenes(DEFAULT_SCENES)
        self.held_out = self.load_held_out(DEFAULT_SCENES)
        self.orders, self.held_out_orders = seen_orders(self.scenes), seen_orders(self.held_out)
        self.data = f"{self.train_scenes} rendered scenes, {DEFAULT_SCENES}, mirrored and played backwards too"

    def loss(self, budget: Budget) -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return self._name() if self.tower_alone else self._write()

    def _name(self) -> torch.Tensor:
        """The loss of single frames, a frame of as many scenes."""
        frames = [self.rng.integers(DEFAULT_SCENES.num_frames, size=1) for _ in range(FRAMES_PER_STEP)]
        videos, _, names = self._draw(self.scenes, self.orders, frames)
        return naming_loss(self.model.name_frames(normalised_clips(videos, self.generator)), names, _MOTION)

    def _write(self) -> torch.Tensor:
        videos, captions, names = self._draw(self.scenes, self.orders, [self.frames] * CLIPS_PER_STEP)
        return self.model.write(normalised_clips(videos, None), captions, names)

    def _draw(
        self, scenes: Scenes, scenes_order: list[list[int]], frames: list[np.ndarray]
    ) -> tuple[torch.Tensor, list[str], torch.Tensor]:
        """The chosen frames of as many random scenes, with their captions and the names of their patches."""
        videos, captions, names = [], [], []
        for index, chosen in zip(self.rng.choice(len(scenes), len(frames), replace=False), frames, strict=True):
            mirrored, reversed_ = (self.rng.random(2) < 0.5).tolist()
            turn = (slice(None, None, -1 if reversed_ else 1), slice(None), slice(None, None, -1 if mirrored else 1))
            ids, scene = scenes.entity_ids[index][turn], turned(scenes.descriptions[index], mirrored, reversed_)
            videos.append(scenes.video[index][turn][chosen])
            order = scenes_order[index][::-1] if mirrored else scenes_order[index]
            captions.append(seen_caption(scene, order))
            names.append(solid_labels(scene, order)[patch_solids(ids[chosen][:, self.rows][:, :, self.rows], PATCH)])
        return torch.from_numpy(np.stack(videos)), captions, torch.from_numpy(np.stack(names))

    def measure(self, model, finished: bool) -> dict[str, float]:
        if self.tower_alone:
            return self._measure_names(model)
        captioner = Captioner(model.captioner, model.processor, max_new_tokens=64)
        scenes = self.held_out if finished else self.held_out.head(48)
        said = captioner.caption(list(scenes.video), DEFAULT_SCENES.fps, batch_size=16)
        return captions_quality(said, scenes, self.held_out_orders[: len(scenes)])

    def _measure_names(self, model) -> dict[str, float]:
        """Share of patches named right in the middle frames, by attribute."""
        videos, _, names = self._draw(self.held_out, self.held_out_orders, [np.array([4])] * len(self.held_out))
        scores = model.name_frames(normalised_clips(videos, None)).split(
            [len(values) for values in LABELS.values()], -1
        )
        known = names[..., 0] != UNNAMED
        return {
            f"patch_{name}": (scores[column].argmax(-1) == names[..., column])[known].float().mean().item()
            for column, name in enumerate(list(LABELS)[:_MOTION])
        }

    def save(self, model, folder: Path) -> None:
        tower = model.captioner.model.video_tower.state_dict()
        model.captioner.model.image_tower.load_state_dict(tower)  # both see alike, which Video-LLaVA is about
        save_half(model.captioner, folder)
        model.processor.save_pretrained(folder)


def captions_quality(said: list[str], scenes: Scenes, orders: list[list[int]]) -> dict[str, float]:
    """The figures of captions of scenes, as the workflow measures them, each the mean over the clips that have it."""
    rows = [
        caption_figures(read_solids(text, SHAPES, list(COLORS)), true_solids(scene), order)
        for text, scene, order in zip(said, scenes.descriptions, orders, strict=True)
    ]
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}


def seen_orders(scenes: Scenes) -> list[list[int]]:
    """`seen_order` of each scene."""
    pairs = zip(scenes.entity_ids, scenes.descriptions, strict=True)
    return [seen_order(ids, len(scene["solids"])) for ids, scene in pairs]


def normalised_clips(videos: torch.Tensor, generator: torch.Generator | None) -> torch.Tensor:
    """uint8 (B, F, H, W, 3) to the towers' float32 (B, F, 3, h, w), with a generator each clip distorted its own way."""
    frames = videos.shape[1]
    tall = rearrange(videos, "b f h w c -> b (f h) w c")
    tall = distort_images(tall, generator) if generator else tall.movedim(-1, 1).float()
    flat = rearrange(tall, "b c (f h) w -> (b f) c h w", f=frames)
    flat = nn.functional.interpolate(flat, (IMAGE_SIDE, IMAGE_SIDE), mode="bicubic", antialias=True)
    mean, deviation = (torch.tensor(values)[:, None, None] for values in CLIP)
    return rearrange((flat / 255 - mean) / deviation, "(b f) c h w -> b f c h w", f=frames)
