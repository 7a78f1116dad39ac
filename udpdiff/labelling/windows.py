"""Long clips in overlapping windows: which frames each takes, and how latents of neighbours are joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def windows(num_frames: int, window: int, overlap: int) -> list[tuple[int, int]]:
    """Return [first, end) of each window; neighbours share `overlap` frames, and the last may be short.

    ValueError unless 0 <= overlap < window.
    """
    if not 0 <= overlap < window:
        if num_frames <= window and overlap >= 0:
            return [(0, num_frames)]
        raise ValueError(f"Got overlap={overlap} of a window={window}. Expected an overlap from 0 to {window - 1}.")
    if num_frames <= window:
        return [(0, num_frames)]
    return [(first, min(first + window, num_frames)) for first in range(0, num_frames - overlap, window - overlap)]


def stitch(earlier: torch.Tensor, later: torch.Tensor, overlap: int) -> torch.Tensor:
    """Join (T, ...) and (T', ...) whose ends are the same `overlap` frames, by a linear blend from old to new.

    Weights run from 0 to 1, both ends included, so that an overlap of one frame keeps the old one.

    Source: Tencent/DepthCrafter, depth_crafter_ppl.py.
    """
    import torch

    if overlap == 0:
        return torch.cat((earlier, later))
    weight = torch.linspace(0, 1, overlap).view(-1, *[1] * (later.ndim - 1)) if overlap > 1 else 0.0
    blended = later[:overlap] * weight + earlier[-overlap:] * (1 - weight)
    return torch.cat((earlier[:-overlap], blended, later[overlap:]))
