"""Encoders of single frames, loaded from checkpoints: of subjects (DINO), and of whole pictures and prompts (CLIP).

Each has a `.name` that travels with the numbers: figures of two extractors are different metrics and must never be
compared. Real checkpoints (facebook/dino-vitb16, openai/clip-vit-base-patch32) and the mini ones load with the same calls.
Of whole videos see `video_encoders`.

Source: Vchitect/VBench (what DINO and CLIP are fed); facebookresearch/dino, vision_transformer.py (position embedding).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from udpdiff.checkpoints import local_folder
from udpdiff.finite import check_finite
from udpdiff.metrics import preprocessing
from udpdiff.pixel_statistics import CLIP_MEAN, CLIP_STD, IMAGENET_MEAN, IMAGENET_STD


class SubjectEncoder:
    """Class token of a vision transformer after its last norm, DINO's place in subject consistency.

    Any `ViTModel` checkpoint; the input's short side is its configured image size (224 for DINO, no crop).
    """

    def __init__(self, model, name: str, batch_frames: int = 32) -> None:
        self.model, self.name, self.batch_frames = model.eval(), name, batch_frames
        self.image_size = int(model.config.image_size)

    @classmethod
    def from_pretrained(cls, ref: str, *, device: str = "cpu", batch_frames: int = 32) -> SubjectEncoder:
        """Load a ViTModel from a hub id, a folder or `mini:NAME`."""
        import torch
        from transformers import ViTModel

        from udpdiff.metrics.dino_embeddings import use_dino_embeddings

        # DINO was trained with eps 1e-6; the converted checkpoint's configuration says 1e-12.
        model = ViTModel.from_pretrained(
            local_folder(ref),
            dtype=torch.float32,
            add_pooling_layer=False,
            layer_norm_eps=1e-6,
            trust_remote_code=False,
        )
        return cls(use_dino_embeddings(model).to(device), extractor_name(ref, model), batch_frames)

    def encode(self, video: np.ndarray) -> np.ndarray:
        """Features float32 (T, D) of a video uint8 (T, H, W, 3), of length 1."""
        return _encode_frames(self, video)

    def prepare(self, frames):
        frames = preprocessing.resize_short_side(frames, self.image_size, "bilinear")
        return preprocessing.normalise(frames, IMAGENET_MEAN, IMAGENET_STD)

    def forward(self, pixels):
        return self.model(pixels, interpolate_pos_encoding=True).last_hidden_state[:, 0]


class ImageEncoder:
    """Both towers of a CLIPModel: projected features of frames, for background consistency, and of their prompt."""

    def __init__(self, model, name: str, batch_frames: int = 32, tokenizer=None) -> None:
        self.model, self.name, self.batch_frames, self.tokenizer = model.eval(), name, batch_frames, tokenizer
        self.image_size = int(model.config.vision_config.image_size)

    @classmethod
    def from_pretrained(cls, ref: str, *, device: str = "cpu", batch_frames: int = 32) -> ImageEncoder:
        """Load a CLIPModel from a hub id, a folder or `mini:NAME`."""
        import torch
        from transformers import AutoTokenizer, CLIPModel

        folder = local_folder(ref)
        model = CLIPModel.from_pretrained(folder, dtype=torch.float32, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        return cls(model.to(device), extractor_name(ref, model), batch_frames, tokenizer)

    def encode(self, video: np.ndarray) -> np.ndarray:
        """Features float32 (T, D) of a video uint8 (T, H, W, 3), of length 1."""
        return _encode_frames(self, video)

    def prepare(self, frames):
        frames = preprocessing.resize_short_side(frames, self.image_size, "bicubic")
        frames = preprocessing.centre_crop(frames, self.image_size)
        return preprocessing.normalise(frames, CLIP_MEAN, CLIP_STD)

    def forward(self, pixels):
        return self.model.get_image_features(pixel_values=pixels).pooler_output

    def encode_text(self, text: str) -> tuple[np.ndarray, bool]:
        """Return the feature float32 (D,) of a prompt, of length 1, and whether the prompt was too long and was cut."""
        import torch

        most = int(self.model.config.text_config.max_position_embeddings)  # begin and end marks included
        whole = len(self.tokenizer(text)["input_ids"])
        tokens = self.tokenizer(text, truncation=True, max_length=most, return_tensors="pt")
        with torch.inference_mode():
            feature = self.model.get_text_features(
                input_ids=tokens["input_ids"].to(self.model.device),
                attention_mask=tokens["attention_mask"].to(self.model.device),
            ).pooler_output
        unit = torch.nn.functional.normalize(feature.float(), dim=-1).cpu()
        return checked(unit, self)[0], whole > most


def _encode_frames(encoder, video: np.ndarray) -> np.ndarray:
    import torch

    parts, device = [], encoder.model.device
    with torch.inference_mode():
        for start in range(0, len(video), encoder.batch_frames):
            batch = video[start : start + encoder.batch_frames]
            # Frame by frame: the floats of one large frame stay in the processor's caches, those of a batch do not.
            prepared = [encoder.prepare(preprocessing.as_float_frames(frame[None], device)) for frame in batch]
            features = encoder.forward(torch.cat(prepared))
            parts.append(torch.nn.functional.normalize(features.float(), dim=-1).cpu())
    return checked(torch.cat(parts), encoder)


def checked(features, encoder) -> np.ndarray:
    """Return the features of an encoder as an array, once they are known to be finite."""
    check_finite(features, f"the features of {encoder.name}", encoder.model.dtype)
    return features.numpy()


def extractor_name(ref: str, model) -> str:
    """Return what a reader must know to repeat a number, without a path of this machine: reference and class."""
    shown = Path(ref).name if Path(ref).exists() else ref
    return f"{shown} ({type(model).__name__})"
