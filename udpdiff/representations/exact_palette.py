"""Tells painted colormaps from generated ones, and reads entities off the painted ones exactly.

A painted colormap has few colours, and nearly every pixel equals a neighbour. Blur makes ramps (pixels between their
two neighbours in all channels), noise makes lone pixels close to a neighbour's colour; either is a sign of damage.
"""

from __future__ import annotations

import numpy as np

_MIN_PIXELS_PER_COLOR = 8
_MAX_COLORS = 65535
_MAX_SUSPECT_SHARE = 0.1
_NOISE_STEPS = 24


def decode_exact(colormap: np.ndarray) -> np.ndarray | None:
    """Return entity ids by colour, or None if the colormap is not a painted one.

    colormap: uint8 (T,H,W,3). Returns uint16 (T,H,W): 0 where black, others numbered by colour code.
    """
    codes = pack_colors(colormap)
    first = np.unique(codes[0])
    if not _few(len(first), codes.size):
        return None
    # A table of all colours is cheaper than sorting a long clip.
    present = np.zeros(1 << 24, bool) if codes.size > 1 << 20 else None
    if present is None:
        colors = np.unique(codes)
    else:
        for frame in codes:
            present[frame] = True
        colors = np.flatnonzero(present)
    if not _few(len(colors), codes.size) or _is_degraded(colormap, codes, colors):
        return None
    ids = np.searchsorted(colors, codes).astype(np.uint16)
    return ids if colors[0] == 0 else ids + np.uint16(1)


def pack_colors(colormap: np.ndarray) -> np.ndarray:
    """Return one int32 code per pixel, red highest; equal codes mean equal colours."""
    codes = colormap[..., 0].astype(np.int32)
    for channel in (1, 2):
        codes <<= 8
        codes |= colormap[..., channel]
    return codes


def _few(num_colors: int, num_pixels: int) -> bool:
    return num_colors <= min(_MAX_COLORS, max(num_pixels // _MIN_PIXELS_PER_COLOR, 4))


def _is_degraded(colormap: np.ndarray, codes: np.ndarray, colors: np.ndarray) -> bool:
    edges = suspects = 0
    seen_whole = np.zeros(len(colors), bool)
    for frame, frame_codes in zip(colormap.astype(np.int16), codes, strict=True):
        edge, ramp, lone = _inspect(np.pad(frame, ((1, 1), (1, 1), (0, 0)), mode="edge"))
        edges += np.count_nonzero(edge)
        suspects += np.count_nonzero(ramp | lone)
        seen_whole[np.searchsorted(colors, frame_codes[~lone])] = True
    return suspects > _MAX_SUSPECT_SHARE * edges or np.count_nonzero(~seen_whole) > _MAX_SUSPECT_SHARE * len(colors)


def _inspect(padded: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels (H,W) of a padded frame that differ from a neighbour; that lie on a ramp; that stand alone like noise."""
    middle = padded[1:-1, 1:-1]
    pairs = ((padded[:-2, 1:-1], padded[2:, 1:-1]), (padded[1:-1, :-2], padded[1:-1, 2:]))
    steps = [np.abs(middle - neighbor).max(axis=-1) for pair in pairs for neighbor in pair]
    ramp = np.zeros(middle.shape[:2], bool)
    for before, after in pairs:
        low, high = np.minimum(before, after), np.maximum(before, after)
        between = ((low <= middle) & (middle <= high)).all(axis=-1)
        ramp |= between & ((low < middle) & (middle < high)).any(axis=-1)
    smallest, largest = np.minimum.reduce(steps), np.maximum.reduce(steps)
    # At the frame's border the padding repeats the pixel itself, so that border pixels never count as lone.
    return largest > 0, ramp, (smallest > 0) & (smallest <= _NOISE_STEPS)
