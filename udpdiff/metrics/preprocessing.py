"""Frames to network inputs, exactly as the reference metrics prepare them: resizes without antialias, no clamping.

Source: Vchitect/VBench, vbench/utils.py (dino_transform, clip_transform); with antialias the scores differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import torch


def as_float_frames(video: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """uint8 (T, H, W, 3) to float32 (T, 3, H, W) in [0, 255], made on the device, where it takes four times the room."""
    import torch

    if video.dtype != np.uint8 or video.ndim != 4 or video.shape[-1] != 3:
        raise ValueError(f"Video: got {video.dtype} {video.shape}, expected uint8 (T, H, W, 3).")
    return torch.from_numpy(np.ascontiguousarray(video)).to(device).float().movedim(-1, 1)


def resize_short_side(frames: torch.Tensor, size: int, mode: Literal["bilinear", "bicubic"]) -> torch.Tensor:
    """Frames (T, 3, H, W) with the short side at `size`, the long one at int(size * long / short); no antialias."""
    height, width = frames.shape[-2:]
    short, long = min(height, width), max(height, width)
    other = int(size * long / short)
    return resize(frames, (size, other) if height <= width else (other, size), mode)


def resize(frames: torch.Tensor, size: tuple[int, int], mode: Literal["bilinear", "bicubic"]) -> torch.Tensor:
    """Frames (T, 3, H, W) squashed or stretched to size (height, width), half-pixel centres, no antialias."""
    from torch.nn.functional import interpolate

    if tuple(frames.shape[-2:]) == size:
        return frames
    return interpolate(frames, size, mode=mode, align_corners=False, antialias=False)


def centre_crop(frames: torch.Tensor, size: int) -> torch.Tensor:
    """The middle size x size of frames (T, 3, H, W); an odd rest is rounded as torchvision does."""
    height, width = frames.shape[-2:]
    top, left = round((height - size) / 2), round((width - size) / 2)
    return frames[..., top : top + size, left : left + size]


def normalise(frames: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """Frames in [0, 255] (..., 3, H, W) to (x / 255 - mean) / std per channel."""
    shift = frames.new_tensor(mean)[:, None, None]
    scale = frames.new_tensor(std)[:, None, None]
    return (frames / 255 - shift) / scale
