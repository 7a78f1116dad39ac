"""The three small feature extractors with their training targets: real classes, small configurations.

Each of `LEARNERS` turns a batch of scenes into a loss and, on held-out scenes, into quality figures. It knows nothing of
the training loop.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from udpdiff.mini.feature_corruptions import CORRUPTIONS, corrupt_some
from udpdiff.mini.feature_labels import (
    ACTIONS,
    CLIP_LABELS,
    FRAME_LABELS,
    HEADINGS,
    PATTERNS,
    LabelledScenes,
)
from udpdiff.pixel_statistics import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD
from udpdiff.sources.scenes import CAMERAS, COLORS, GROUNDS, SHAPES

IMAGENET = (IMAGENET_MEAN, IMAGENET_STD)
CLIP = (CLIP_MEAN, CLIP_STD)
_PAD, _BEGIN, _UNKNOWN, _END = 0, 1, 2, 3
_TEXT_LENGTH = 56
_MIDDLE_FRAME = 4
_OTHER_WORDS = (
    "a an and on floor the is backdrop sky sunset night wall camera moves rolls slides small large shiny more solid solids"
    " follow follows one two three four five six . ,"
)
VIDEO_LABELS = (*CLIP_LABELS, *CORRUPTIONS)


class SubjectLearner(nn.Module):
    """ViTModel (DINO's place in subject consistency): names the solids, floor and backdrop of one frame."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import ViTConfig, ViTModel

        config = ViTConfig(
            **vision_sizes(), image_size=64, patch_size=8, layer_norm_eps=1e-6, attention_probs_dropout_prob=0.0
        )
        self.model = ViTModel(config, add_pooling_layer=False)
        self.head = nn.Linear(config.hidden_size, len(FRAME_LABELS))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.head(self.model(pixels).last_hidden_state[:, 0])

    def loss(self, labelled: LabelledScenes, chosen: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        frames = rng.integers(labelled.scenes.video.shape[1], size=len(chosen))
        pixels = _normalise(_jitter(labelled.scenes.video[chosen, frames][:, None], rng)[:, 0], IMAGENET)
        return _label_loss(self(pixels), labelled.frame_labels[chosen, frames])

    def evaluate(self, labelled: LabelledScenes) -> dict[str, float]:
        with torch.inference_mode():
            scores = [self(_normalise(part, IMAGENET)) for part in _batches(labelled.scenes.video[:, _MIDDLE_FRAME])]
        return label_quality(torch.cat(scores).numpy(), labelled.frame_labels[:, _MIDDLE_FRAME])


class VideoLearner(nn.Module):
    """VideoMAEForVideoClassification (I3D's place in the Frechet video distance): content, motion, faults of a clip."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import VideoMAEConfig, VideoMAEForVideoClassification

        config = VideoMAEConfig(
            **vision_sizes(),
            image_size=64,
            patch_size=8,
            num_frames=9,
            tubelet_size=3,
            layer_norm_eps=1e-6,
            id2label=dict(enumerate(VIDEO_LABELS)),
            label2id={label: index for index, label in enumerate(VIDEO_LABELS)},
            problem_type="multi_label_classification",
        )
        self.model = VideoMAEForVideoClassification(config)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.model(pixels).logits

    def loss(self, labelled: LabelledScenes, chosen: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        videos, faults = corrupt_some(_jitter(labelled.scenes.video[chosen], rng), rng)
        content, faulty = self(_normalise(videos, IMAGENET)).split([len(CLIP_LABELS), len(CORRUPTIONS)], dim=1)
        # The few faults weigh as much as the many contents: they are what the distance must not miss.
        return _label_loss(content, labelled.clip_labels[chosen]) + _label_loss(faulty, faults)

    def evaluate(self, labelled: LabelledScenes) -> dict[str, float]:
        videos, faults = corrupt_some(labelled.scenes.video, np.random.default_rng(0))
        with torch.inference_mode():
            scores = torch.cat([self(_normalise(part, IMAGENET)) for part in _batches(videos)]).numpy()
        quality = label_quality(scores, np.concatenate([labelled.clip_labels, faults], 1))
        of_faults = label_quality(scores[:, len(CLIP_LABELS) :], faults)["mean_average_precision"]
        return quality | {"mean_average_precision_of_faults": of_faults}


class ImageLearner(nn.Module):
    """CLIPModel (the place of OpenAI CLIP in background consistency): frames and captions, contrastively."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import CLIPConfig, CLIPModel

        self.tokenizer = word_tokenizer()
        text = {
            "vocab_size": len(self.tokenizer),
            "hidden_size": 48,
            "intermediate_size": 192,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": _TEXT_LENGTH,
            "pad_token_id": _PAD,
            "bos_token_id": _BEGIN,
            "eos_token_id": _END,
        }
        vision = {**vision_sizes(), "image_size": 64, "patch_size": 8, "hidden_act": "gelu", "layer_norm_eps": 1e-6}
        config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=64)
        self.model = CLIPModel(config)

    def loss(self, labelled: LabelledScenes, chosen: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        frames = rng.integers(labelled.scenes.video.shape[1], size=len(chosen))
        pixels = _normalise(_jitter(labelled.scenes.video[chosen, frames][:, None], rng)[:, 0], CLIP)
        texts = [(labelled.scenes.detailed if rng.random() < 0.7 else labelled.scenes.brief)[index] for index in chosen]
        similarity = self._similarity(pixels, texts) * self.model.logit_scale.exp().clamp(max=100)
        target = torch.arange(len(chosen))
        cross_entropy = nn.functional.cross_entropy
        return (cross_entropy(similarity, target) + cross_entropy(similarity.T, target)) / 2

    def _similarity(self, pixels: torch.Tensor, texts: list[str]) -> torch.Tensor:
        images = self.model.get_image_features(pixel_values=pixels).pooler_output
        tokens = self.tokenizer(texts, padding=True, truncation=True, max_length=_TEXT_LENGTH, return_tensors="pt")
        words = self.model.get_text_features(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).pooler_output
        return nn.functional.normalize(images, dim=-1) @ nn.functional.normalize(words, dim=-1).T

    def evaluate(self, labelled: LabelledScenes) -> dict[str, float]:
        """Share of frames that find their own detailed caption first among 64, and chance."""
        hits, size = [], min(64, len(labelled.scenes.video))
        with torch.inference_mode():
            for start in range(0, len(labelled.scenes.video) - size + 1, size):
                part = slice(start, start + size)
                similarity = self._similarity(
                    _normalise(labelled.scenes.video[part, _MIDDLE_FRAME], CLIP), labelled.scenes.detailed[part]
                )
                hits.append((similarity.argmax(1) == torch.arange(size)).float().mean().item())
        return {"caption_retrieval_top1": float(np.mean(hits)), "captions": size, "chance": 1 / size}


LEARNERS = {"subject_encoder": SubjectLearner, "image_encoder": ImageLearner, "video_encoder": VideoLearner}


def label_quality(scores: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Share of labels that are right, the same for always answering the commoner value, and the mean average precision."""
    right = ((scores > 0) == (truth > 0.5)).mean()
    rate = truth.mean(0)
    precisions = []
    for score, present in zip(scores.T, truth.T, strict=True):
        if present.any():
            ranked = present[np.argsort(-score, kind="stable")]
            precisions.append((np.cumsum(ranked) / np.arange(1, len(ranked) + 1))[ranked > 0.5].mean())
    return {
        "label_accuracy": float(right),
        "label_accuracy_of_commonest": float(np.maximum(rate, 1 - rate).mean()),
        "mean_average_precision": float(np.mean(precisions)),
        "mean_average_precision_of_chance": float(rate[rate > 0].mean()),
    }


def caption_words() -> list[str]:
    """Every word and sign that a scene's captions can hold, sorted."""
    words = {*COLORS, *SHAPES, *GROUNDS, *PATTERNS, *ACTIONS, *HEADINGS, *CAMERAS}
    return sorted(words | set(_OTHER_WORDS.split()))


def word_tokenizer():
    """A word-level tokenizer over every word the scene captions can use."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<begin>", "<unknown>", "<end>"]
    vocabulary = {word: index for index, word in enumerate([*special, *caption_words()])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unknown>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<begin> $A <end>", special_tokens=[("<begin>", _BEGIN), ("<end>", _END)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<begin>",
        unk_token="<unknown>",
        eos_token="<end>",
        model_max_length=_TEXT_LENGTH,
    )


def vision_sizes() -> dict[str, int]:
    """Width and depth of all the vision transformers here."""
    return {"hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 256}


def _label_loss(logits: torch.Tensor, labels: np.ndarray) -> torch.Tensor:
    return nn.functional.binary_cross_entropy_with_logits(logits, torch.from_numpy(labels))


def _batches(videos: np.ndarray, size: int = 32) -> list[np.ndarray]:
    return [videos[start : start + size] for start in range(0, len(videos), size)]


def _jitter(video: np.ndarray, rng: np.random.Generator, reach: int = 4) -> np.ndarray:
    """Each clip (B, T, H, W, 3) moved by up to `reach` pixels; the border is repeated."""
    height, width = video.shape[2:4]
    padded = np.pad(video, ((0, 0), (0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    corners = rng.integers(0, 2 * reach + 1, (len(video), 2))
    return np.stack([clip[:, y : y + height, x : x + width] for clip, (y, x) in zip(padded, corners, strict=True)])


def _normalise(frames: np.ndarray, statistics) -> torch.Tensor:
    """uint8 (..., H, W, 3) to float32 (..., 3, H, W) with the mean and deviation given."""
    mean, deviation = (torch.tensor(values) for values in statistics)
    return (torch.from_numpy(np.ascontiguousarray(frames)).float() / 255).sub(mean).div(deviation).movedim(-1, -3)
