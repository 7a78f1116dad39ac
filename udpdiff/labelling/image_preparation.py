"""From frames to the pixel values a labelling checkpoint was trained on: size, rescaling, normalisation.

Reads the checkpoint's own `preprocessor_config.json` and works on whole batches of tensors, on any device. It knows the
two size rules in use (Mask2Former's and DPT's), and no model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from udpdiff.pixel_statistics import IMAGENET_MEAN, IMAGENET_STD

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ImagePreparation:
    """How images become pixel values.

    Attributes:
        short_side: Pixels of the shorter side after resizing; None keeps the size.
        long_side: Most pixels of the longer side; None for no limit.
        squash: A fixed (height, width) that ignores the aspect ratio and wins over both sides.
        multiple: Sides become multiples of it.
        round_up: Whether sides are rounded up to a multiple; False for the nearest one.
        mean: Of red, green and blue in [0, 1], subtracted.
        std: Of red, green and blue in [0, 1], divided by.
    """

    short_side: int | None = None
    long_side: int | None = None
    squash: tuple[int, int] | None = None
    multiple: int = 1
    round_up: bool = True
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    @classmethod
    def from_pretrained(cls, ref: str, multiple: int) -> ImagePreparation:
        """Read the image processor's configuration of a folder or hub id.

        Source: transformers, image_processing_mask2former.py and image_processing_dpt.py (the meaning of the keys).

        Args:
            ref: The folder or hub id.
            multiple: What the model's patches or strides need, where the configuration does not say.

        Returns:
            The preparation; where there is no configuration, ImageNet statistics at full size.

        Raises:
            ValueError: The size of the configuration is not understood.
        """
        from transformers.image_processing_base import ImageProcessingMixin

        try:
            config, _ = ImageProcessingMixin.get_image_processor_dict(ref)
        except OSError:
            return cls(multiple=multiple)
        return cls.from_config(config, multiple)

    @classmethod
    def from_config(cls, config: dict, multiple: int) -> ImagePreparation:
        """Read the image processor's configuration from a dictionary.

        Raises:
            ValueError: Its size is not understood.
        """
        sides = {} if config.get("do_resize") is False else _sides(config)
        normalise = config.get("do_normalize") is not False
        divisor = config.get("ensure_multiple_of") or config.get("size_divisor") or 1
        return cls(
            **sides,
            multiple=math.lcm(max(1, divisor), multiple),
            round_up="ensure_multiple_of" not in config,
            mean=tuple(config.get("image_mean") or IMAGENET_MEAN) if normalise else (0.0, 0.0, 0.0),
            std=tuple(config.get("image_std") or IMAGENET_STD) if normalise else (1.0, 1.0, 1.0),
        )

    def target_size(self, height: int, width: int) -> tuple[int, int]:
        """Return the (height, width) in pixels that an image of this size is resized to."""
        if self.squash:
            return tuple(self._to_multiple(side) for side in self.squash)
        scale = 1.0
        if self.short_side:
            scale = self.short_side / min(height, width)
        if self.long_side:
            scale = min(scale, self.long_side / max(height, width))
        return self._to_multiple(height * scale), self._to_multiple(width * scale)

    def pixel_values(self, images: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
        """Resize (bicubic, antialiased), scale to [0, 1] and normalise.

        Args:
            images: uint8 (B, H, W, 3), RGB.
            device: Where the values are computed and stay.

        Returns:
            float32 (B, 3, h, w), of the size that `target_size` tells.
        """
        import torch
        from torch.nn import functional

        values = torch.from_numpy(np.array(images)).to(device).permute(0, 3, 1, 2).float()
        size = self.target_size(*values.shape[-2:])
        if size != tuple(values.shape[-2:]):
            values = functional.interpolate(values, size, mode="bicubic", antialias=True).clamp(0, 255)
        mean, std = (values.new_tensor(numbers)[:, None, None] for numbers in (self.mean, self.std))
        return (values / 255 - mean) / std

    def _to_multiple(self, side: float) -> int:
        count = side / self.multiple
        # A side such as 63.999999 is 64: the small number undoes floating-point noise.
        count = math.ceil(count - 1e-6) if self.round_up else math.floor(count + 0.5)
        return max(1, count) * self.multiple


def check_images(images: np.ndarray, what: str = "images") -> None:
    """Check that images are uint8 (B, H, W, 3) and at least one.

    Raises:
        ValueError: They are not.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape:
        raise ValueError(
            f"Got {what} of dtype {images.dtype} and shape {images.shape}. Expected uint8 (B, H, W, 3), RGB, "
            "not empty; add the first axis for a single image."
        )


def _sides(config: dict) -> dict:
    size = config.get("size") or {}
    if isinstance(size, int):
        size = {"shortest_edge": size}
    if "shortest_edge" in size:
        return {"short_side": size["shortest_edge"], "long_side": size.get("longest_edge") or config.get("max_size")}
    if {"height", "width"} <= set(size):
        if config.get("keep_aspect_ratio"):
            return {"short_side": min(size["height"], size["width"])}
        return {"squash": (size["height"], size["width"])}
    raise ValueError(
        f"Got image processor size {config.get('size')!r}. Expected shortest_edge (and longest_edge), or height "
        "and width, in preprocessor_config.json."
    )
