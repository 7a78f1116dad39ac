"""Depth as a Spectral colormap and back.

Spectral is a polyline of eleven colours in RGB. Encoding samples it finely; decoding finds the nearest point of the
polyline, so that its precision is not that of the table. Knows nothing of how depth was estimated or normalised.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from udpdiff.representations.painting import pack_colors, paint, unpack_colors

LUT_SIZE = 4096
_NODES = 11
_CHUNK_PIXELS = 1 << 15
_CELL = 8  # a side, of the cells of colours that share a choice of segments
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
    return paint(depth, spectral_lut(), _lut_places)


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


def _lut_places(depth: np.ndarray) -> np.ndarray:
    return np.rint(depth.astype(np.float32) * np.float32(LUT_SIZE - 1)).astype(np.uint16)


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
    codes, inverse, counts = np.unique(pack_colors(spectral_lut()), return_inverse=True, return_counts=True)
    middles = np.bincount(inverse, weights=np.linspace(0, 1, LUT_SIZE)) / counts
    return codes, middles.astype(np.float32)


@cache
def _near_segments() -> np.ndarray:
    """Which segments of the polyline can be nearest to colours of a cell of the cube: bool (segments, cells)."""
    colors = np.stack(np.meshgrid(*[np.arange(0, 256, _CELL)] * 3, indexing="ij")).reshape(3, -1)
    colors = (colors + (_CELL - 1) / 2).astype(np.float32)
    gaps = np.sqrt(np.stack([_to_segment(colors, number)[0] for number in range(_NODES - 1)]))
    # From the middle of a cell to its corner, there and back, and what is rounded.
    return gaps <= gaps.min(axis=0) + np.sqrt(3) * (_CELL - 1) + 0.1


def _decode_bytes(pixels: np.ndarray) -> np.ndarray:
    if len(pixels) < _TABLE_PIXELS:
        return _in_chunks(lambda chunk: _decode_codes(pack_colors(chunk)), pixels)
    # Tables of all colours are filled where colours of the clip are; the rest of them takes no memory.
    present = np.zeros(1 << 24, bool)
    for start in range(0, len(pixels), _CHUNK_PIXELS):
        present[pack_colors(pixels[start : start + _CHUNK_PIXELS])] = True
    codes = np.flatnonzero(present)
    table = np.zeros(1 << 24, np.float32)
    table[codes] = _in_chunks(_decode_codes, codes)
    return _in_chunks(lambda chunk: np.take(table, pack_colors(chunk), mode="clip"), pixels)


def _decode_codes(codes: np.ndarray) -> np.ndarray:
    depth = _project(unpack_colors(codes).astype(np.float32))
    # Two stretches of Spectral meet at a sharp angle near 0.5, where rounding to bytes could land on the other one. So
    # colours of the table itself are looked up.
    exact, middles = _exact_colors()
    place = np.minimum(np.searchsorted(exact, codes), len(exact) - 1)
    return np.where(exact[place] == codes, middles[place], depth)


def _project(pixels: np.ndarray) -> np.ndarray:
    """Nearest point on the polyline of float32 colours (n,3) in [0, 255], as depth (n,)."""
    colors = np.ascontiguousarray(pixels.T)
    best = np.full(len(pixels), np.inf, np.float32)
    depth = np.zeros(len(pixels), np.float32)
    red, green, blue = (colors // _CELL).astype(np.intp)
    near = _near_segments()[:, (red * (256 // _CELL) + green) * (256 // _CELL) + blue]
    for segment in range(_NODES - 1):
        chosen = np.flatnonzero(near[segment])
        distance, along = _to_segment(np.take(colors, chosen, axis=1), segment)
        closer = distance < best[chosen]
        chosen = chosen[closer]
        best[chosen] = distance[closer]
        depth[chosen] = (segment + along[closer]) / np.float32(_NODES - 1)
    return depth


def _to_segment(colors: np.ndarray, segment: int) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances of colours (3,n) to a segment of the polyline, and how far along it the nearest point lies.

    Summed channel by channel, so that it does not depend on how many colours are asked for at once, as matrix products do.
    """
    start, end = _nodes()[segment : segment + 2, :, None]
    direction = end - start
    gap = colors - start
    along = np.clip((gap * (direction / (direction**2).sum())).sum(axis=0), 0, 1)
    gap -= along * direction
    gap *= gap
    return gap.sum(axis=0), along


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
