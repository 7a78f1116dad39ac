"""Encoders of whole videos, for the distances between sets: VideoMAE, V-JEPA 2 and I3D, by one loader.

The checkpoint itself says what it is: `model_type` of its configuration, or `i3d:` for the torchscript file, which has
none. Frames are squashed to the network's input size (bilinear), as in the original FVD, so that no edge is lost.

Source: Assran et al., V-JEPA 2 (the encoder, without its predictor); Luo et al., Beyond FVD (features of V-JEPA with a
polynomial kernel need fewer videos and no normal distribution: the mean over tokens, and the kernel distance).
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Protocol

import numpy as np

from udpdiff.checkpoints import local_folder
from udpdiff.metrics import preprocessing
from udpdiff.metrics.features import checked, extractor_name
from udpdiff.pixel_statistics import IMAGENET_MEAN, IMAGENET_STD


class VideoFeatures(Protocol):
    """What the metrics need of an extractor of whole videos."""

    name: str
    batch_videos: int

    def encode_videos(self, videos) -> np.ndarray:
        """Features float64 (N, D) of N videos uint8 (T, H, W, 3)."""


class VideoEncoder(ABC):
    """A transformer over space and time, in batches of videos. Subclasses say which frames it sees and what is taken."""

    def __init__(self, model, name: str, batch_videos: int = 8) -> None:
        self.model, self.name, self.batch_videos = model.eval(), name, batch_videos

    def encode_videos(self, videos) -> np.ndarray:
        """Return features float64 (N, D) of videos uint8 (T, H, W, 3), N and T of at least 1."""
        import torch

        parts, batch = [], []
        with torch.inference_mode():
            for index, video in enumerate(videos):
                batch.append(self.prepare(video))
                if len(batch) == self.batch_videos or index == len(videos) - 1:
                    parts.append(self.forward(torch.stack(batch)).double().cpu())
                    batch = []
        if not parts:
            raise ValueError("Video features: got no videos, expected at least one.")
        return checked(torch.cat(parts), self)

    def prepare(self, video: np.ndarray):
        """Return one video as model input, float32 (F, 3, h, w)."""
        import torch

        chosen = np.linspace(0, len(video) - 1, self.count_frames(len(video))).round().astype(int)
        return torch.cat([self._prepare_frame(video[index]) for index in chosen])

    def _prepare_frame(self, frame: np.ndarray):
        frame = preprocessing.as_float_frames(frame[None], self.model.device)
        frame = preprocessing.resize(frame, (self.image_size, self.image_size), "bilinear")
        return preprocessing.normalise(frame, IMAGENET_MEAN, IMAGENET_STD)

    @property
    @abstractmethod
    def image_size(self) -> int:
        """Side of the input in pixels."""

    @abstractmethod
    def count_frames(self, length: int) -> int:
        """Return how many frames, evenly spread, of a video of so many are seen."""

    @abstractmethod
    def forward(self, pixels):
        """Return features (N, D) of inputs (N, F, 3, h, w)."""


class VideoMAE(VideoEncoder):
    """Logits, or the pooled features before them, of a VideoMAE classifier; always of as many frames as it was trained on."""

    def __init__(self, model, name: str, layer: str = "logits", batch_videos: int = 8) -> None:
        if layer not in ("logits", "pooled"):
            raise ValueError(f"Video encoder layer: got {layer!r}, expected 'logits' or 'pooled'.")
        super().__init__(model, f"{name} {layer}", batch_videos)
        self.layer = layer

    @classmethod
    def from_pretrained(
        cls, ref: str, *, layer: str = "logits", device: str = "cpu", batch_videos: int = 8
    ) -> VideoMAE:
        """Load a VideoMAEForVideoClassification from a hub id, a folder or `mini:NAME`."""
        from transformers import VideoMAEForVideoClassification

        model = _load(VideoMAEForVideoClassification, ref)
        return cls(model.to(device), extractor_name(ref, model), layer, batch_videos)

    @property
    def image_size(self) -> int:
        return int(self.model.config.image_size)

    def count_frames(self, length: int) -> int:
        return self.model.config.num_frames

    def forward(self, pixels):
        if self.layer == "logits":
            return self.model(pixels).logits
        tokens = self.model.videomae(pixels).last_hidden_state
        return tokens.mean(1) if self.model.fc_norm is not None else tokens[:, 0]


class VJEPA2(VideoEncoder):
    """Mean over the encoder's tokens of a V-JEPA 2.

    It turns positions instead of looking them up, so a video may be shorter than those it was trained on: all frames are
    seen, up to that length and to a whole number of its tubelets (a single frame is repeated).
    """

    @classmethod
    def from_pretrained(cls, ref: str, *, device: str = "cpu", batch_videos: int = 4) -> VJEPA2:
        """Load a VJEPA2Model, of its own checkpoint or a classifier's, from a hub id, a folder or `mini:NAME`."""
        from transformers import VJEPA2Model

        model = _load(VJEPA2Model, ref)
        return cls(model.to(device), f"{extractor_name(ref, model)} mean of tokens", batch_videos)

    @property
    def image_size(self) -> int:
        return int(self.model.config.crop_size)

    def count_frames(self, length: int) -> int:
        most, tubelet = self.model.config.frames_per_clip, self.model.config.tubelet_size
        return max(1, min(length, most) // tubelet) * tubelet

    def forward(self, pixels):
        return self.model(pixels, skip_predictor=True).last_hidden_state.mean(1)


KINDS = {"videomae": VideoMAE, "vjepa2": VJEPA2}


def load_video_encoder(ref: str, *, device: str = "cpu") -> VideoFeatures:
    """Return the extractor of a reference: `i3d:FILE#SHA256`, or what the configuration of a checkpoint says that it is.

    Raises:
        ValueError: It is none of these.
    """
    if ref.startswith("i3d:"):
        from udpdiff.metrics.i3d import I3D

        return I3D.from_reference(ref, device=device)
    kind = json.loads((Path(local_folder(ref)) / "config.json").read_text(encoding="utf-8")).get("model_type")
    if kind not in KINDS:
        raise ValueError(
            f"Video encoder: {ref} is of the type {kind!r}, expected {' or '.join(KINDS)}, or i3d:FILE#SHA256; name another"
            " checkpoint."
        )
    return KINDS[kind].from_pretrained(ref, device=device)


def _load(model_class, ref: str):
    import torch

    return model_class.from_pretrained(local_folder(ref), dtype=torch.float32, trust_remote_code=False)
