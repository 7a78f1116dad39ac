"""Decoding of entities as it is defined: every distance computed, every patch followed. Slow; decoding is compared with it."""

from __future__ import annotations

import numpy as np

from udpdiff.representations.color_modes import FlatPixels, assign_nearest, find_modes, frame_centers, split_modes
from udpdiff.representations.entity_decoding import DecodingSettings

SETTINGS = DecodingSettings()
_SAMPLE_PIXELS = 1 << 17
_MIN_PIXELS_PER_COLOR = 8
_MAX_COLORS = 65535
_MAX_SUSPECT_SHARE = 0.1
_NOISE_STEPS = 24


def decode(colormap: np.ndarray, settings: DecodingSettings = SETTINGS) -> np.ndarray:
    """Entity ids uint16 (T,H,W) of a colormap uint8 (T,H,W,3)."""
    exact = decode_exact(colormap)
    return decode_degraded(colormap, settings) if exact is None else number_by_appearance(exact)


def decode_degraded(colormap: np.ndarray, settings: DecodingSettings = SETTINGS, palette=None) -> np.ndarray:
    """Entity ids uint16 (T,H,W) of a colormap uint8 (T,H,W,3) that is no painted one."""
    sample = _sample(colormap, settings)
    centers = _find_centers(sample, settings) if palette is None else np.vstack([np.zeros((1, 3)), palette])
    centers = centers.astype(np.float32)
    labels = assign_nearest(sample.colors, centers)
    tracks = frame_centers(sample, labels, centers, settings.drift_prior, len(colormap))
    ids = np.empty(colormap.shape[:3], np.uint16)
    for frame_idx, frame in enumerate(colormap):
        nearest = assign(frame, tracks[:, frame_idx], settings)
        ids[frame_idx] = remove_specks(nearest, settings.min_speck)
    if palette is not None:
        return ids
    black = np.linalg.norm(centers, axis=1)
    ids += 1
    if black.min() <= settings.black_distance:
        ids[ids == black.argmin() + 1] = 0
    return number_by_appearance(ids)


def smooth(frames: np.ndarray, settings: DecodingSettings) -> tuple[np.ndarray, np.ndarray]:
    """Mean colours over 3 x 3 pixels, float32 (...,H,W,3), and how flat the place is, float32 (...,H,W) in (0, 1]."""
    from scipy import ndimage

    smoothed = frames.astype(np.float32)
    squared = np.zeros(frames.shape[:-1], np.float32)
    for axis in (-3, -2):
        smoothed = ndimage.uniform_filter1d(smoothed, 3, axis=axis, mode="nearest")
    for axis in (-3, -2):
        slope = ndimage.correlate1d(smoothed, (-0.5, 0, 0.5), axis=axis, mode="nearest")
        squared += np.einsum("...c,...c->...", slope, slope)
    return smoothed, np.exp(-squared / settings.flat_gradient**2)


def _sample(colormap: np.ndarray, settings: DecodingSettings) -> FlatPixels:
    """Smooth every frame and keep pixels of all of them, on a grid so coarse that their number stays bounded."""
    num_frames, height, width = colormap.shape[:3]
    stride = max(1, int(np.ceil(np.sqrt(num_frames * height * width / _SAMPLE_PIXELS))))
    colors, weights = [], []
    for frame in colormap:
        smoothed, flatness = smooth(frame, settings)
        colors.append(smoothed[::stride, ::stride].reshape(-1, 3))
        weights.append(flatness[::stride, ::stride].ravel())
    frame_idx = np.repeat(np.arange(num_frames), len(weights[0]))
    return FlatPixels(np.concatenate(colors), np.concatenate(weights), frame_idx)


def _find_centers(sample: FlatPixels, settings: DecodingSettings) -> np.ndarray:
    centers = find_modes(sample, settings.bin_size, settings.min_share, settings.merge_distance)
    if not len(centers):  # nothing is flat enough: the whole clip is one colour at best
        return sample.colors.mean(axis=0, keepdims=True)
    for _ in range(2):
        centers = split_modes(sample, centers, settings.min_share, settings.split_dip)
    return centers


def assign(frame: np.ndarray, centers: np.ndarray, settings: DecodingSettings) -> np.ndarray:
    """Index of the nearest centre among those that sure pixels nearby have: intp (H,W)."""
    from scipy import ndimage

    smoothed, flatness = smooth(frame, settings)
    height, width = flatness.shape
    norms = (centers**2).sum(axis=1)[:, None]

    def gaps(colors: np.ndarray) -> np.ndarray:  # squared distances without the pixel's own norm, (K, H*W)
        return norms - 2 * centers @ colors.reshape(-1, 3).T

    smooth_gaps = gaps(smoothed)
    nearest = smooth_gaps.argmin(axis=0)
    distance = smooth_gaps.min(axis=0) + np.einsum("hwc,hwc->hw", smoothed, smoothed).ravel()
    sure = np.flatnonzero(distance <= settings.sure_distance**2)
    tile = settings.tile
    votes = np.zeros((len(centers), -(-height // tile), -(-width // tile)), bool)
    votes[nearest[sure], sure // width // tile, sure % width // tile] = True
    near = ndimage.maximum_filter(votes, (1, 2 * settings.reach + 1, 2 * settings.reach + 1), mode="constant")
    near |= ~near.any(axis=0)
    allowed = near.repeat(tile, axis=1)[:, :height].repeat(tile, axis=2)[:, :, :width]
    # Smoothing fights noise inside an entity and blurs its border, so each pixel is smoothed as far as it is flat.
    colors = frame + flatness[..., None] * (smoothed - frame)
    return np.where(allowed, gaps(colors).reshape(allowed.shape), np.inf).argmin(axis=0)


def remove_specks(labels: np.ndarray, min_speck: int) -> np.ndarray:
    """Give connected patches (4 neighbours) of fewer than `min_speck` pixels the label of the nearest larger one."""
    if min_speck <= 1:
        return labels
    from scipy import ndimage, sparse

    nodes = np.arange(labels.size).reshape(labels.shape)
    across, down = labels[:, 1:] == labels[:, :-1], labels[1:] == labels[:-1]
    starts = np.concatenate([nodes[:, :-1][across], nodes[:-1][down]])
    ends = np.concatenate([nodes[:, 1:][across], nodes[1:][down]])
    links = sparse.coo_matrix((np.ones(len(starts), bool), (starts, ends)), shape=(labels.size,) * 2)
    _, patches = sparse.csgraph.connected_components(links, directed=False)
    specks = (np.bincount(patches)[patches] < min_speck).reshape(labels.shape)
    if not specks.any() or specks.all():
        return labels
    rows, columns = ndimage.distance_transform_edt(specks, return_distances=False, return_indices=True)
    return labels[rows, columns]


def number_by_appearance(ids: np.ndarray) -> np.ndarray:
    """Number the ids other than 0 from 1, in the order of their first pixels: uint16, as ids."""
    import pandas

    indices, known = pandas.factorize(ids.ravel())
    numbers = np.cumsum(known > 0) * (known > 0)
    return numbers.astype(np.uint16)[indices].reshape(ids.shape)


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
