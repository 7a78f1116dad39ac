"""Tells painted colormaps from generated ones, and reads entities off the painted ones exactly.

A painted colormap has few colours, and nearly every pixel equals a neighbour. Blur makes ramps (pixels between their
two neighbours in all channels), noise makes lone pixels close to a neighbour's colour; either is a sign of damage.
Frames are gone through one by one, and only pixels beside another colour are looked at closely.
"""

from __future__ import annotations

import numpy as np

from udpdiff.representations.painting import pack_colors

_MIN_PIXELS_PER_COLOR = 8
_MAX_COLORS = 65535
_MAX_SUSPECT_SHARE = 0.1
_NOISE_STEPS = 24


def decode_exact(colormap: np.ndarray) -> np.ndarray | None:
    """Return entity ids by colour, or None if the colormap is not a painted one.

    colormap: uint8 (T,H,W,3). Returns uint16 (T,H,W): 0 where black, others numbered by colour code.
    """
    num_pixels = colormap[..., 0].size
    if not _few(len(_colors_of(colormap[0])), num_pixels):
        return None
    colors = _distinct(np.concatenate([_colors_of(frame) for frame in colormap]))
    if not _few(len(colors), num_pixels) or _is_degraded(colormap, colors):
        return None
    ids = np.empty(colormap.shape[:3], np.uint16)
    for frame, decoded in zip(colormap, ids, strict=True):
        codes = pack_colors(frame).ravel()
        starts = _run_starts(codes)
        numbers = np.searchsorted(colors, codes[starts]) + (colors[0] != 0)
        decoded[...] = numbers.astype(np.uint16).repeat(np.diff(starts, append=codes.size)).reshape(decoded.shape)
    return ids


def _few(num_colors: int, num_pixels: int) -> bool:
    return num_colors <= min(_MAX_COLORS, max(num_pixels // _MIN_PIXELS_PER_COLOR, 4))


def _colors_of(frame: np.ndarray) -> np.ndarray:
    """The codes that occur in a frame uint8 (H,W,3), in order: int32 (K,)."""
    codes = pack_colors(frame).ravel()
    return _distinct(codes[_run_starts(codes)])


def _run_starts(codes: np.ndarray) -> np.ndarray:
    """Where runs of equal codes (n,) start, which are far fewer than pixels in a painted colormap."""
    return np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))


def _distinct(codes: np.ndarray) -> np.ndarray:
    ordered = np.sort(codes)
    return ordered[_run_starts(ordered)]


def _is_degraded(colormap: np.ndarray, colors: np.ndarray) -> bool:
    edges = suspects = 0
    seen_whole = np.zeros(len(colors), bool)
    for frame in colormap:
        codes = pack_colors(frame)
        places = _edges(codes)
        ramp, lone = _inspect(frame, places)
        edges += len(places)
        suspects += np.count_nonzero(ramp | lone)
        starts = _run_starts(codes.ravel())
        # A lone pixel is a run of its own.
        whole = np.setdiff1d(starts, places[lone], assume_unique=True) if lone.any() else starts
        seen_whole[np.searchsorted(colors, codes.flat[whole])] = True
    return suspects > _MAX_SUSPECT_SHARE * edges or np.count_nonzero(~seen_whole) > _MAX_SUSPECT_SHARE * len(colors)


def _edges(codes: np.ndarray) -> np.ndarray:
    """Flat indices of the pixels that differ from one of their four neighbours."""
    edge = np.zeros(codes.shape, bool)
    down, across = codes[1:] != codes[:-1], codes[:, 1:] != codes[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    return np.flatnonzero(edge)


def _inspect(frame: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether pixels (n,) of a frame that differ from a neighbour lie on a ramp, and whether they stand alone like noise."""
    height, width = frame.shape[:2]
    rows, columns = np.divmod(places, width)
    # At the frame's border a pixel is its own neighbour, so that border pixels never count as lone.
    steps = (width * (rows > 0), width * (rows < height - 1)), (1 * (columns > 0), 1 * (columns < width - 1))
    pixels = frame.reshape(-1, 3)
    middle = pixels[places].astype(np.int16)
    ramp, gaps = np.zeros(len(places), bool), []
    for back, on in steps:
        before, after = pixels[places - back].astype(np.int16), pixels[places + on].astype(np.int16)
        low, high = np.minimum(before, after), np.maximum(before, after)
        between = ((low <= middle) & (middle <= high)).all(axis=-1)
        ramp |= between & ((low < middle) & (middle < high)).any(axis=-1)
        gaps += [np.abs(middle - neighbor).max(axis=-1) for neighbor in (before, after)]
    smallest = np.minimum.reduce(gaps)
    return ramp, (smallest > 0) & (smallest <= _NOISE_STEPS)
