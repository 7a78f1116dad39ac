"""The mini Video-LLaVA on rendered scenes: it learns to write what the scenes' descriptions say.

Two stages. First the vision tower learns to name the solid behind each patch of a frame and to say where its outline is,
which motion is read from; it starts from the image encoder's weights. Then the language model learns to write, names the
solids' patches too, by what all frames show, and says how far each has moved. Captions alone, a few thousand, do not teach
that; the layers that name and locate are not kept.
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
from udpdiff.mini.captioner_clips import CROPPED, Lesson, describe_frames, draw_lesson
from udpdiff.mini.captioner_model import (
    FRAME_TOKENS,
    IMAGE_SIDE,
    NUM_FRAMES,
    build_model,
    build_processor,
    start_towers,
)
from udpdiff.mini.captioner_targets import LABELS, MOTIONS, UNNAMED, seen_order
from udpdiff.mini.labeller import start_from
from udpdiff.mini.scenes import DEFAULT_SCENES, Scenes
from udpdiff.mini.training import Budget, Options, Recipe, Trainer, save_half
from udpdiff.pixel_statistics import CLIP_MEAN, CLIP_STD
from udpdiff.sources.scenes import COLORS, SHAPES

TOWER_STAGE = "captioner_tower"
FRAMES_PER_STEP, CLIPS_PER_STEP = 64, 8
# Of the language model: after it a patch must know how far its solid has moved; what it does; the last layer reads it.
MOVING_LAYER, NAMING_LAYER = 2, 3
NAMING_WEIGHT, BOX_WEIGHT = 0.5, 5.0
WORD_WEIGHT = 3.0  # of words for what is measured: a third of a caption is the same for all scenes
FIRST_NAMED_FRAME = 4  # of those shown: earlier patches have seen too little of a motion
# Shape and motion are what is hard; size and shine can hardly be told.
WEIGHTS = {"shape": 2.0, "motion": 2.0, "size": 0.3, "shiny": 0.3}
_MOTION = list(LABELS).index("motion")  # from here on it takes several frames


class CaptionLearner(nn.Module):
    """The captioner with the layers that name and locate patches, and the losses of both stages."""

    def __init__(self, captioner) -> None:
        super().__init__()
        self.captioner = captioner
        width = captioner.config.text_config.hidden_size
        total = sum(len(values) for values in LABELS.values())
        self.seen_embed, self.named_embed = nn.Linear(width, total), nn.Linear(width, total)
        self.box_embed, self.moved_embed = nn.Linear(width, 4), nn.Linear(width, 4)
        self.processor = build_processor()
        tokenizer = self.processor.tokenizer
        prompt, video = write_vicuna_prompt(self.processor, INSTRUCTION), self.processor.video_token
        prompt = prompt.replace(video, video * (NUM_FRAMES * FRAME_TOKENS))
        self.prompt = torch.tensor(tokenizer(prompt)["input_ids"])
        self.first_patch = int((self.prompt == captioner.config.video_token_index).nonzero()[0])
        self.word_weights = torch.ones(len(tokenizer))
        self.word_weights[tokenizer(" ".join([*SHAPES, *COLORS, *MOTIONS, "rolls", "slides"]))["input_ids"]] = (
            WORD_WEIGHT
        )

    def see(self, pixel_values: torch.Tensor, lessons: list[Lesson], count: int) -> torch.Tensor:
        """The loss of frames (B, F, 3, H, W) by themselves, named by the first `count` of LABELS."""
        scores, boxes = self.name_frames(pixel_values)
        names = torch.from_numpy(np.stack([lesson.names for lesson in lessons]))
        return naming_loss(scores, names, count) + BOX_WEIGHT * box_loss(boxes, [lesson.boxes for lesson in lessons])

    def name_frames(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Of the patches of frames (B, F, 3, H, W) scores of all names, (B, F, patches, names), and boxes, (..., 4)."""
        seen = self.captioner.model.get_video_features(pixel_values).pooler_output[:, 1:]
        seen = rearrange(seen, "(b f) n c -> b f n c", f=pixel_values.shape[1])
        return self.seen_embed(seen), self.box_embed(seen)

    def write(self, pixel_values: torch.Tensor, lessons: list[Lesson]) -> torch.Tensor:
        """The loss of clips (B, NUM_FRAMES, 3, H, W)."""
        words = self._encode([lesson.caption for lesson in lessons])
        inputs = torch.cat([self.prompt.expand(len(lessons), -1), words[:, :-1].clamp(min=0)], 1)
        outputs = self.captioner(
            input_ids=inputs,
            pixel_values_videos=pixel_values,
            output_hidden_states=True,
            logits_to_keep=words.shape[1],
            use_cache=False,
        )
        spoken = nn.functional.cross_entropy(
            outputs.logits.float().flatten(0, 1), words.flatten(), self.word_weights, ignore_index=UNNAMED
        )
        moved = self.moved_embed(self._patches(outputs.hidden_states[MOVING_LAYER]))
        named = self.named_embed(self._patches(outputs.hidden_states[NAMING_LAYER])[:, FIRST_NAMED_FRAME:])
        names = torch.from_numpy(np.stack([lesson.names[FIRST_NAMED_FRAME:] for lesson in lessons]))
        located = BOX_WEIGHT * box_loss(moved, [lesson.moved for lesson in lessons])
        return spoken + NAMING_WEIGHT * (naming_loss(named, names, len(LABELS)) + located)

    def _patches(self, hidden: torch.Tensor) -> torch.Tensor:
        """Of hidden states (B, tokens, C) those of patches: (B, NUM_FRAMES, patches, C)."""
        shown = hidden[:, self.first_patch : self.first_patch + NUM_FRAMES * FRAME_TOKENS]
        return rearrange(shown, "b (f n) c -> b f n c", f=NUM_FRAMES)[:, :, 1:]

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


def box_loss(boxes: torch.Tensor, true: list[np.ndarray]) -> torch.Tensor:
    """Mean distance of box edges (B, F, patches, 4) from the true ones, where there are any (not NaN)."""
    true = torch.from_numpy(np.stack(true))
    known = ~true.isnan()
    return (boxes.float()[known] - true[known]).abs().mean()


class CaptionerTrainer(Trainer):
    """Video-LLaVA on clips of scenes."""

    name = "captioner"
    notes = (
        "Video-LLaVA. It started from the vision tower of mini:image_encoder, which first learnt alone to name the solid "
        "behind each patch; then the language model learnt to write. The image tower is a copy of the video tower and was "
        "never shown a picture by itself. It knows the words of rendered scenes alone and names solids from left to right."
    )
    train_scenes, held_out_scenes = 3750, 128
    recipe = Recipe(4e-3, warmup_steps=50, average_decay=0.99, adam_names=("embed", "bias", "lm_head"))

    def __init__(self, options: Options) -> None:
        super().__init__(options)
        captioner = build_model()
        self.tower_alone = options.stage == TOWER_STAGE
        self.continues = (options.start_from / "processor_config.json").exists()  # else it is an image encoder
        if self.continues:
            captioner = start_from(captioner, options.start_from)
        else:
            start_towers(captioner, options.start_from)
        if not self.tower_alone:
            captioner.model.video_tower.requires_grad_(False)
        captioner.model.image_tower.requires_grad_(False)
        captioner.set_attn_implementation("eager")  # on a CPU its backward pass takes half the time of sdpa's
        self.model = CaptionLearner(captioner).train()
        self.frames = uniform_frames(DEFAULT_SCENES.num_frames, DEFAULT_SCENES.fps)
        self.scenes = self.load_scenes(DEFAULT_SCENES)
        self.held_out = self.load_held_out(DEFAULT_SCENES)
        self.held_out_orders = seen_orders(self.held_out)
        self.data = (
            f"{self.train_scenes} rendered scenes, {DEFAULT_SCENES}, mirrored, cropped, and half of those of two solids with "
            "a third from another scene"
        )

    def loss(self, budget: Budget) -> torch.Tensor:
        if self.tower_alone:
            frames = [self.rng.integers(DEFAULT_SCENES.num_frames, size=1) for _ in range(FRAMES_PER_STEP)]
        else:
            frames = [self.frames] * CLIPS_PER_STEP
        side = int(self.rng.choice(CROPPED))
        chosen = self.rng.choice(len(self.scenes), len(frames), replace=False).tolist()
        lessons = [draw_lesson(self.scenes, *pair, side, self.rng) for pair in zip(chosen, frames, strict=True)]
        pixels = normalised_clips(torch.from_numpy(np.stack([lesson.video for lesson in lessons])), self.generator)
        with torch.autocast("cpu", torch.bfloat16):
            return self.model.see(pixels, lessons, _MOTION) if self.tower_alone else self.model.write(pixels, lessons)

    def measure(self, model, finished: bool) -> dict[str, float]:
        if self.tower_alone:
            return self._measure_names(model)
        captioner = Captioner(model.captioner, model.processor, max_new_tokens=64)
        scenes = self.held_out if finished else self.held_out.head(48)
        captions = captioner.caption(list(scenes.video), DEFAULT_SCENES.fps, batch_size=16)
        return captions_quality(captions, scenes, self.held_out_orders[: len(scenes)])

    def _measure_names(self, model) -> dict[str, float]:
        """Share of patches named right in the middle frames, by attribute."""
        middle = DEFAULT_SCENES.num_frames // 2
        one = slice(middle, middle + 1)
        lessons = [
            describe_frames(self.held_out.video[index, one], self.held_out.entity_ids[index, one], scene)
            for index, scene in enumerate(self.held_out.descriptions)
        ]
        scores, boxes = model.name_frames(normalised_clips(torch.from_numpy(self.held_out.video[:, one]), None))
        names = torch.from_numpy(np.stack([lesson.names for lesson in lessons]))
        known = names[..., 0] != UNNAMED
        parts = scores.split([len(values) for values in LABELS.values()], -1)
        right = {
            f"patch_{name}": (parts[column].argmax(-1) == names[..., column])[known].float().mean().item()
            for column, name in enumerate(list(LABELS)[:_MOTION])
        }
        return right | {"box_error": box_loss(boxes, [lesson.boxes for lesson in lessons]).item()}

    def save(self, model, folder: Path) -> None:
        tower = model.captioner.model.video_tower.state_dict()
        model.captioner.model.image_tower.load_state_dict(tower)  # both see alike, which Video-LLaVA is about
        save_half(model.captioner, folder)
        model.processor.save_pretrained(folder)


def captions_quality(captions: list[str], scenes: Scenes, orders: list[list[int]]) -> dict[str, float]:
    """The figures of captions of scenes, as the workflow measures them, each the mean over the clips that have it."""
    rows = [
        caption_figures(read_solids(text, SHAPES, list(COLORS)), true_solids(scene), order)
        for text, scene, order in zip(captions, scenes.descriptions, orders, strict=True)
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
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (CLIP_MEAN, CLIP_STD))
    return rearrange((flat / 255 - mean) / deviation, "(b f) c h w -> b f c h w", f=frames)
