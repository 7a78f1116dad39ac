"""Per-frame relative depth with Depth Anything V2, normalised over the clip.

    >>> from udpdiff import DepthAnything, read_video
    >>> video = read_video("clip.mp4")
    >>> depth = DepthAnything.from_pretrained("mini:depth_anything").estimate(video)

Knows one model class and the depth convention (1 = nearest); nothing of colormaps, files or the truth.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from udpdiff.checkpoints import local_folder
from udpdiff.default_device import default_device
from udpdiff.finite import check_finite
from udpdiff.labelling.image_preparation import ImagePreparation, check_images
from udpdiff.progress import progress

if TYPE_CHECKING:
    import torch

NORMALISATIONS = ("clip", "frame")
FLAT = 1e-5  # relative range of a prediction that counts as constant


class DepthAnything:
    """Estimates depth frame by frame; frames agree only as far as the network's own scale does.

    Args:
        model: A `DepthAnythingForDepthEstimation` of relative depth.
        preparation: From frames to its pixel values.

    Attributes:
        show_progress: Whether `estimate` draws a bar.

    Raises:
        ValueError: The model gives distances.

    Source: Depth Anything V2 (arXiv 2406.09414); transformers' `DepthAnythingForDepthEstimation`.
    """

    show_progress = False

    def __init__(self, model: torch.nn.Module, preparation: ImagePreparation):
        _check_kind(model.config)
        self.model = model.eval()
        self.preparation = preparation

    @classmethod
    def from_pretrained(cls, ref: str, device: str | torch.device | None = None, dtype=None) -> DepthAnything:
        """Load a checkpoint of relative depth.

        Args:
            ref: Folder, hub id (e.g. "depth-anything/Depth-Anything-V2-Large-hf") or `mini:` name.
            device: None for CUDA where there is one.
            dtype: None for float32.

        Raises:
            ValueError: A checkpoint of another class, or of distances.
        """
        import torch
        from transformers import AutoConfig, DepthAnythingForDepthEstimation

        folder = local_folder(str(ref))
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        if config.model_type != "depth_anything":
            raise ValueError(
                f"Got depth checkpoint {ref!r} of type {config.model_type!r}. Expected 'depth_anything', "
                "e.g. depth-anything/Depth-Anything-V2-Small-hf."
            )
        _check_kind(config)
        device = device or default_device()
        model = DepthAnythingForDepthEstimation.from_pretrained(
            folder, dtype=dtype or torch.float32, trust_remote_code=False
        ).to(device)
        return cls(model, ImagePreparation.from_pretrained(folder, multiple=config.patch_size))

    def estimate(
        self, video: np.ndarray, batch_size: int = 8, normalise: Literal["clip", "frame"] = "clip"
    ) -> np.ndarray:
        """Return the depth of every frame.

        Args:
            video: uint8 (T, H, W, 3).
            batch_size: Frames that the network sees at once.
            normalise: Whether minimum and maximum are taken over the whole clip, or over each frame.

        Returns:
            float32 (T, H, W) in [0, 1], 1 = nearest, 0 = farthest. A constant prediction gives zeros.

        Raises:
            ValueError: Other inputs, or a prediction that is not finite.
        """
        if normalise not in NORMALISATIONS:
            raise ValueError(f"Got normalise={normalise!r}. Expected one of {NORMALISATIONS}.")
        disparity = self.predict_disparity(video, batch_size)
        axes = (0, 1, 2) if normalise == "clip" else (1, 2)
        low, high = disparity.min(axes, keepdims=True), disparity.max(axes, keepdims=True)
        span = high - low
        # A flat prediction differs by rounding alone, which must not be stretched to a picture.
        flat = span <= FLAT * np.maximum(np.abs(high), np.abs(low))
        return np.where(flat, 0.0, (disparity - low) / np.where(flat, 1.0, span)).astype(np.float32)

    def predict_disparity(self, video: np.ndarray, batch_size: int = 8) -> np.ndarray:
        """Return the network's relative inverse depth, higher = nearer, float32 (T, H, W), at the size of the video."""
        import torch
        from torch.nn import functional

        check_images(video, "video")
        if batch_size < 1:
            raise ValueError(f"Got batch_size={batch_size}. Expected at least 1.")
        weight = next(self.model.parameters())
        parts = []
        starts = range(0, len(video), batch_size)
        for start in progress(starts, "depth, chunks of frames", shown=self.show_progress):
            pixel_values = self.preparation.pixel_values(video[start : start + batch_size], weight.device)
            with torch.inference_mode():
                predicted = self.model(pixel_values.to(weight.dtype)).predicted_depth.float()
                if predicted.shape[-2:] != video.shape[1:3]:
                    predicted = functional.interpolate(
                        predicted[:, None], video.shape[1:3], mode="bilinear", align_corners=True
                    )[:, 0]
            parts.append(predicted.cpu().numpy())
        disparity = np.concatenate(parts)
        check_finite(disparity, "the values that Depth Anything gives", weight.dtype)
        return disparity


def _check_kind(config) -> None:
    """Raise ValueError for a network of distances, whose values would be stored upside down."""
    kind = config.depth_estimation_type
    if kind != "relative":
        raise ValueError(
            f"Got a depth network with depth_estimation_type={kind!r}, which gives distances. Expected a relative one,"
            " which gives nearness, e.g. depth-anything/Depth-Anything-V2-Small-hf."
        )
