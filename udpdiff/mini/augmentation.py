"""What training images of the mini labellers go through, so that encoded clips look familiar: jitter, blur, noise."""

from __future__ import annotations

import torch
from torch.nn import functional


def distort_images(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """uint8 (B, H, W, 3) -> uint8 values as float32 (B, 3, H, W) in [0, 255], each image distorted its own way.

    Gain and offset per channel, in half of the images a mild blur, noise of up to 3 grey levels, and chroma at half
    resolution in half of the images, as yuv420p keeps it.
    """
    count = len(images)

    def draw(low: float, high: float, channels: int = 1) -> torch.Tensor:
        return low + (high - low) * torch.rand(count, channels, 1, 1, generator=generator)

    values = images.permute(0, 3, 1, 2).float()
    values = values * draw(0.85, 1.15) * draw(0.94, 1.06, 3) + draw(-12, 12)
    grey = values.mean(1, keepdim=True)
    coarse = functional.interpolate(functional.avg_pool2d(values - grey, 2), scale_factor=2.0, mode="bilinear")
    values = torch.where(draw(0, 1) < 0.5, grey + coarse, values)
    blurred = functional.avg_pool2d(functional.pad(values, (1, 1, 1, 1), mode="replicate"), 3, 1)
    values = torch.lerp(values, blurred, draw(-0.35, 0.35).clamp(min=0))
    values = values + draw(0, 3) * torch.randn(values.shape, generator=generator)
    return values.clamp(0, 255)
