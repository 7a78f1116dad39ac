"""Depth as a Spectral colormap and back.

Spectral is a polyline of eleven colours in RGB. Encoding samples it finely; decoding finds the nearest point of the
polyline, so that its precision is not that of the table. Knows nothing of how depth was estimated or normalised.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np

LUT_SIZE = 4096
_NODES = 11
_CHUNK_PIXELS = 1 << 18
# A table over all 2^24 colours pays off from about here on; below it, pixels are projected one by one.
_TABLE_PIXELS = 1 << 20


def encode_depth(depth: np.ndarray) -> np.ndarray:
    """Colour depth by matplotlib's Spectral: 0 (farthest) is red, 1 (nearest) is violet.

    depth: float (..., H, W) in [0, 1]. Returns uint8 (..., H, W, 3).
    Raises ValueError for another dtype, NaN or values outside [0, 1].
    Source: UDPDiff section 3.2 (spectral-style value projection).
    """
    depth = np.asarray(depth)
    if depth.dtype.kind != "f":
        raise ValueError(f"depth: got dtype {depth.dtype}, expected float in [0, 1]; divide stored uint16 by 65535.")
    if depth.size and not (depth.min() >= 0 and depth.max() <= 1):
        raise ValueError(
            f"depth: got values from {depth.min()} to {depth.max()}, expected [0, 1] without NaN; "
            "normalise per clip by minimum and maximum."
        )
    index = np.rint(depth.astype(np.float32) * np.float32(LUT_SIZE - 1)).astype(np.uint16)
    return spectral_lut()[index]


def decode_depth(colormap: np.ndarray) -> np.ndarray:
    """Return the depth whose Spectral colour is nearest to each pixel; the inverse of `encode_depth`.

    colormap: uint8, or float in [0, 1], (..., H, W, 3). Returns float32 (..., H, W) in [0, 1]; on clean colormaps it is
    within 1/255 of what was encoded.
    Raises ValueError for another shape, dtype or range.
    """
    colormap = np.asarray(colormap)
    if colormap.ndim == 0 or colormap.shape[-1] != 3:
        raise ValueError(f"colormap: got shape {colormap.shape}, expected (..., H, W, 3); move channels to the end.")
    pixels = colormap.reshape(-1, 3)
    is_bytes = colormap.dtype == np.uint8
    depth = _decode_bytes(pixels) if is_bytes else _in_chunks(_project, _as_bytes_range(pixels))
    return depth.reshape(colormap.shape[:-1])


@cache
def spectral_lut() -> np.ndarray:
    """Return the table of `encode_depth`: uint8 (LUT_SIZE, 3)."""
    import matplotlib

    colors = matplotlib.colormaps["Spectral"].resampled(LUT_SIZE)(np.arange(LUT_SIZE))[:, :3]
    lut = np.rint(colors * 255).astype(np.uint8)
    lut.setflags(write=False)
    return lut


@cache
def _nodes() -> np.ndarray:
    import matplotlib

    colors = matplotlib.colormaps["Spectral"].resampled(_NODES)(np.arange(_NODES))[:, :3]
    return (colors * 255).astype(np.float32)


@cache
def _exact_colors() -> tuple[np.ndarray, np.ndarray]:
    """Codes of the table's colours, sorted, and the middle of the depths that each stands for."""
    codes, inverse, counts = np.unique(_codes(spectral_lut()), return_inverse=True, return_counts=True)
    middles = np.bincount(inverse, weights=np.linspace(0, 1, LUT_SIZE)) / counts
    return codes, middles.astype(np.float32)


def _decode_bytes(pixels: np.ndarray) -> np.ndarray:
    if len(pixels) < _TABLE_PIXELS:
        return _in_chunks(_decode_codes, _codes(pixels))
    present = np.zeros(1 << 24, bool)
    for start in range(0, len(pixels), _TABLE_PIXELS):
        present[_codes(pixels[start : start + _TABLE_PIXELS])] = True
    codes = np.flatnonzero(present)
    table = np.zeros(1 << 24, np.float32)
    table[codes] = _in_chunks(_decode_codes, codes)
    return _in_chunks(lambda chunk: table[_codes(chunk)], pixels)


def _decode_codes(codes: np.ndarray) -> np.ndarray:
    colors = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1).astype(np.float32)
    depth = _project(colors)
    # Two stretches of Spectral meet at a sharp angle near 0.5, where rounding to bytes could land on the other one. So
    # colours of the table itself are looked up.
    exact, middles = _exact_colors()
    place = np.minimum(np.searchsorted(exact, codes), len(exact) - 1)
    return np.where(exact[place] == codes, middles[place], depth)


def _project(colors: np.ndarray) -> np.ndarray:
    """Nearest point on the polyline of float32 colours (n,3) in [0, 255], as depth (n,)."""
    best = np.full(len(colors), np.inf, np.float32)
    depth = np.zeros(len(colors), np.float32)
    nodes = _nodes()
    for segment, (start, end) in enumerate(pairwise(nodes)):
        direction = end - start
        along = np.clip((colors - start) @ (direction / (direction @ direction)), 0, 1)
        gap = colors - start - along[:, None] * direction
        distance = np.einsum("nc,nc->n", gap, gap)
        closer = distance < best
        np.copyto(best, distance, where=closer)
        np.copyto(depth, (segment + along) / np.float32(_NODES - 1), where=closer)
    return depth


def _codes(colors: np.ndarray) -> np.ndarray:
    wide = colors.astype(np.int32)
    return wide[:, 0] << 16 | wide[:, 1] << 8 | wide[:, 2]


def _as_bytes_range(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype.kind != "f":
        raise ValueError(f"colormap: got dtype {pixels.dtype}, expected uint8 or float in [0, 1]; convert it first.")
    if pixels.size and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ValueError(
            f"colormap: got values from {pixels.min()} to {pixels.max()}, expected [0, 1] for floats; "
            "clip them, or divide by 255."
        )
    return pixels.astype(np.float32) * np.float32(255)


def _in_chunks(function, rows: np.ndarray) -> np.ndarray:
    out = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), _CHUNK_PIXELS):
        out[start : start + _CHUNK_PIXELS] = function(rows[start : start + _CHUNK_PIXELS])
    return out
