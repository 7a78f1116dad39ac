"""Feature extractors of the metrics, loaded from checkpoints: subject, image and video encoders.

Each has a `.name` that travels with the numbers: figures of two extractors are different metrics and must never be
compared. Real checkpoints (facebook/dino-vitb16, openai/clip-vit-base-patch32, a VideoMAE classifier) and the mini ones
load with the same calls. `i3d` has the torchscript file behind published FVD numbers.

Source: Vchitect/VBench (what DINO and CLIP are fed); facebookresearch/dino, vision_transformer.py (position embedding).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Protocol

import numpy as np

from udpdiff.finite import check_finite
from udpdiff.metrics import preprocessing
from udpdiff.metrics.flow import FlowEstimator, load_flow
from udpdiff.metrics.interpolation import Interpolator, load_interpolator


class VideoFeatures(Protocol):
    """What the metrics need of an extractor of whole videos."""

    name: str
    batch_videos: int

    def encode_videos(self, videos) -> np.ndarray:
        """Features float64 (N, D) of N videos uint8 (T, H, W, 3)."""


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
            _folder(ref), dtype=torch.float32, add_pooling_layer=False, layer_norm_eps=1e-6, trust_remote_code=False
        )
        return cls(use_dino_embeddings(model).to(device), _name(ref, model), batch_frames)

    def encode(self, video: np.ndarray) -> np.ndarray:
        """Features float32 (T, D) of a video uint8 (T, H, W, 3), of length 1."""
        return _encode_frames(self, video)

    def prepare(self, frames):
        frames = preprocessing.resize_short_side(frames, self.image_size, "bilinear")
        return preprocessing.normalise(frames, preprocessing.IMAGENET_MEAN, preprocessing.IMAGENET_STD)

    def forward(self, pixels):
        return self.model(pixels, interpolate_pos_encoding=True).last_hidden_state[:, 0]


class ImageEncoder:
    """Both towers of a CLIPModel: projected features of frames, for background consistency, and of their prompt.

    Attributes:
        text_tokens: Of a prompt, which is cut there, its begin and end marks included.
    """

    def __init__(self, model, name: str, batch_frames: int = 32, tokenizer=None) -> None:
        self.model, self.name, self.batch_frames, self.tokenizer = model.eval(), name, batch_frames, tokenizer
        self.image_size = int(model.config.vision_config.image_size)
        self.text_tokens = int(model.config.text_config.max_position_embeddings)

    @classmethod
    def from_pretrained(cls, ref: str, *, device: str = "cpu", batch_frames: int = 32) -> ImageEncoder:
        """Load a CLIPModel from a hub id, a folder or `mini:NAME`."""
        import torch
        from transformers import AutoTokenizer, CLIPModel

        folder = _folder(ref)
        model = CLIPModel.from_pretrained(folder, dtype=torch.float32, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        return cls(model.to(device), _name(ref, model), batch_frames, tokenizer)

    def encode(self, video: np.ndarray) -> np.ndarray:
        """Features float32 (T, D) of a video uint8 (T, H, W, 3), of length 1."""
        return _encode_frames(self, video)

    def prepare(self, frames):
        frames = preprocessing.resize_short_side(frames, self.image_size, "bicubic")
        frames = preprocessing.centre_crop(frames, self.image_size)
        return preprocessing.normalise(frames, preprocessing.CLIP_MEAN, preprocessing.CLIP_STD)

    def forward(self, pixels):
        return self.model.get_image_features(pixel_values=pixels).pooler_output

    def encode_text(self, text: str) -> tuple[np.ndarray, bool]:
        """Return the feature float32 (D,) of a prompt, of length 1, and whether the prompt was too long and was cut."""
        import torch

        whole = len(self.tokenizer(text)["input_ids"])
        tokens = self.tokenizer(text, truncation=True, max_length=self.text_tokens, return_tensors="pt")
        with torch.inference_mode():
            feature = self.model.get_text_features(
                input_ids=tokens["input_ids"].to(self.model.device),
                attention_mask=tokens["attention_mask"].to(self.model.device),
            ).pooler_output
        unit = torch.nn.functional.normalize(feature.float(), dim=-1).cpu()
        return _checked(unit, self)[0], whole > self.text_tokens


class VideoEncoder:
    """Logits, or the pooled features before them, of a VideoMAE classifier, for the Frechet video distance.

    Frames are squashed to the input size (bilinear), as in the original FVD. A video of another length than the
    checkpoint's is sampled at evenly spread frames.
    """

    def __init__(self, model, name: str, layer: str = "logits", batch_videos: int = 8) -> None:
        if layer not in ("logits", "pooled"):
            raise ValueError(f"Video encoder layer: got {layer!r}, expected 'logits' or 'pooled'.")
        self.model, self.layer, self.batch_videos = model.eval(), layer, batch_videos
        self.name = f"{name} {layer}"

    @classmethod
    def from_pretrained(
        cls, ref: str, *, layer: str = "logits", device: str = "cpu", batch_videos: int = 8
    ) -> VideoEncoder:
        """Load a VideoMAEForVideoClassification from a hub id, a folder or `mini:NAME`."""
        import torch
        from transformers import VideoMAEForVideoClassification

        model = VideoMAEForVideoClassification.from_pretrained(
            _folder(ref), dtype=torch.float32, trust_remote_code=False
        )
        return cls(model.to(device), _name(ref, model), layer, batch_videos)

    def encode_videos(self, videos) -> np.ndarray:
        """Features float64 (N, D) of videos uint8 (T, H, W, 3)."""
        return _encode_videos(self, videos)

    def prepare(self, video: np.ndarray):
        """One video as model input (F, 3, h, w)."""
        size, count = int(self.model.config.image_size), self.model.config.num_frames
        if len(video) != count:
            video = video[np.linspace(0, len(video) - 1, count).round().astype(int)]
        frames = preprocessing.resize(preprocessing.as_float_frames(video), (size, size), "bilinear")
        return preprocessing.normalise(frames, preprocessing.IMAGENET_MEAN, preprocessing.IMAGENET_STD)

    def forward(self, pixels):
        if self.layer == "logits":
            return self.model(pixels).logits
        tokens = self.model.videomae(pixels).last_hidden_state
        return tokens.mean(1) if self.model.fc_norm is not None else tokens[:, 0]

    @property
    def device(self):
        return self.model.device


@dataclass(frozen=True)
class Extractors:
    """What the video metrics are made with; there are no figures of what is None."""

    video: VideoFeatures
    subject: SubjectEncoder | None = None
    image: ImageEncoder | None = None
    interpolator: Interpolator | None = None
    flow: FlowEstimator | None = None

    @property
    def names(self) -> dict[str, str]:
        """What made the figures, by field."""
        return {field.name: part.name for field in fields(self) if (part := getattr(self, field.name))}

    @property
    def smoothness(self) -> str | None:
        """Key of the interpolator's figure."""
        return self.interpolator and self.interpolator.metric


def load_extractors(
    video_encoder: str,
    subject_encoder: str | None = None,
    image_encoder: str | None = None,
    interpolator: str | None = None,
    flow: str | None = None,
    *,
    device: str = "cpu",
) -> Extractors:
    """Load by reference: hub ids, folders, `mini:NAME`, `i3d:PATH#SHA256`; `blend` or a plug-in as interpolator; `dis`."""
    return Extractors(
        load_video_encoder(video_encoder, device=device),
        subject_encoder and SubjectEncoder.from_pretrained(subject_encoder, device=device),
        image_encoder and ImageEncoder.from_pretrained(image_encoder, device=device),
        interpolator and load_interpolator(interpolator),
        flow and load_flow(flow),
    )


def load_video_encoder(ref: str, *, device: str = "cpu") -> VideoFeatures:
    """The extractor of a reference: `i3d:FILE#SHA256` for the torchscript I3D, else a VideoMAE classifier."""
    if ref.startswith("i3d:"):
        from udpdiff.metrics.i3d import I3D

        return I3D.from_reference(ref, device=device)
    return VideoEncoder.from_pretrained(ref, device=device)


def _encode_frames(encoder, video: np.ndarray) -> np.ndarray:
    import torch

    parts = []
    with torch.inference_mode():
        for start in range(0, len(video), encoder.batch_frames):
            frames = preprocessing.as_float_frames(video[start : start + encoder.batch_frames])
            features = encoder.forward(encoder.prepare(frames.to(encoder.model.device)))
            parts.append(torch.nn.functional.normalize(features.float(), dim=-1).cpu())
    return _checked(torch.cat(parts), encoder)


def _encode_videos(encoder, videos) -> np.ndarray:
    import torch

    parts, batch = [], []
    with torch.inference_mode():
        for index, video in enumerate(videos):
            batch.append(encoder.prepare(video))
            if len(batch) == encoder.batch_videos or index == len(videos) - 1:
                parts.append(encoder.forward(torch.stack(batch).to(encoder.device)).double().cpu())
                batch = []
    if not parts:
        raise ValueError("Video features: got no videos, expected at least one.")
    return _checked(torch.cat(parts), encoder)


def _checked(features, encoder) -> np.ndarray:
    check_finite(features, f"the features of {encoder.name}", encoder.model.dtype)
    return features.numpy()


def _folder(ref: str) -> str:
    from udpdiff.checkpoints import local_folder

    return local_folder(ref)


def _name(ref: str, model) -> str:
    """What a reader must know to repeat a number, without a path of this machine: reference and class."""
    shown = Path(ref).name if Path(ref).exists() else ref
    return f"{shown} ({type(model).__name__})"
