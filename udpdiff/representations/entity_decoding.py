"""Reads entities off segmentation colormaps that a VAE has blurred and a generator has made noisy.

All frames are decoded together, so that an entity keeps one id. The steps:

1. A painted colormap (few colours, no ramps) is read off exactly.
2. Otherwise its colours are the modes of the colours of flat pixels in the whole clip; close ones are split apart, and
   each is followed through time.
3. Pixels sure of their colour vote for what lies near; every pixel takes the nearest of the colours near it. Blur mixes
   two neighbours into what may be a third entity's colour elsewhere, and this is what keeps that third one out.
4. Specks take the colour around them.

Two entities of one colour stay one, even where they never touch; so do, after damage, two of nearly one colour (closer
than about 12 steps, where splitting finds no gap between them). Knows nothing of how colours were drawn.
Source: the interior-pixel and splitting ideas go back to UniGS's progressive dichotomy module; the rest is ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from udpdiff.representations.color_modes import FlatPixels, assign_nearest, find_modes, frame_centers, split_modes
from udpdiff.representations.exact_palette import decode_exact

_SAMPLE_PIXELS = 1 << 17


@dataclass(frozen=True)
class DecodingSettings:
    """How `decode_entities` reads degraded colormaps; colours in steps of 1/255, lengths in pixels.

    flat_gradient: colour change per pixel at which trust in a pixel falls to 1/e. Higher keeps small entities, and lets
    mixed colours pass for entities.
    bin_size: resolution of the colour density; colours about two bins apart are told apart without splits.
    min_share: share of the clip's pixels that the flat part of an entity must have; smaller ones pass for mixtures.
    merge_distance: modes closer than this are one colour (splitting may part them again).
    split_dip: one mode is two colours where the density between them is below this part of that at them; 0 never.
    sure_distance: a pixel's vote counts if its smoothed colour is at most this far from a mode.
    reach: how far a vote carries, in steps of `tile` pixels; cover the blur's width.
    drift_prior: flat pixels that an entity's colour over the clip counts for against its colour in one frame.
    black_distance: a mode this near to black is the background, id 0.
    min_speck: connected patches of fewer pixels take the id around them; 1 keeps all.
    """

    flat_gradient: float = 12
    bin_size: int = 8
    min_share: float = 3e-4
    merge_distance: float = 12
    split_dip: float = 0.5
    sure_distance: float = 8
    tile: int = 3
    reach: int = 1
    drift_prior: float = 20
    black_distance: float = 20
    min_speck: int = 4


def decode_entities(
    colormap: np.ndarray, settings: DecodingSettings = DecodingSettings(), palette: np.ndarray | None = None
) -> np.ndarray:
    """Return which entity each pixel shows, over all frames at once.

    colormap: uint8, or float in [0, 1], (T,H,W,3). palette: uint8 (N,3), the colours if they are known; then pixels get
    the number of their colour, from 1, and black needs no entry. Returns uint16 (T,H,W); 0 is black, entities are
    numbered in the order in which they appear. A painted colormap is decoded exactly, whatever the settings.
    Raises ValueError for another shape, dtype or range.
    """
    colormap = _as_bytes(colormap)
    if palette is None:
        exact = decode_exact(colormap)
        if exact is not None:
            return _number_by_appearance(exact)
    sample = _sample(colormap, settings)
    centers = _find_centers(sample, settings) if palette is None else np.vstack([np.zeros((1, 3)), palette])
    centers = centers.astype(np.float32)
    labels = assign_nearest(sample.colors, centers)
    tracks = frame_centers(sample, labels, centers, settings.drift_prior, len(colormap))
    ids = np.empty(colormap.shape[:3], np.uint16)
    for frame_idx, frame in enumerate(colormap):
        nearest = _assign(frame, tracks[:, frame_idx], settings)
        ids[frame_idx] = _remove_specks(nearest, settings.min_speck)
    if palette is not None:
        return ids
    black = np.linalg.norm(centers, axis=1)
    ids += 1
    if black.min() <= settings.black_distance:
        ids[ids == black.argmin() + 1] = 0
    return _number_by_appearance(ids)


def _as_bytes(colormap: np.ndarray) -> np.ndarray:
    colormap = np.asarray(colormap)
    if colormap.ndim != 4 or colormap.shape[-1] != 3 or 0 in colormap.shape:
        raise ValueError(f"colormap: got shape {colormap.shape}, expected (T,H,W,3), none empty; add or move axes.")
    if colormap.dtype == np.uint8:
        return colormap
    if colormap.dtype.kind != "f" or not (colormap.min() >= 0 and colormap.max() <= 1):
        raise ValueError(
            f"colormap: got {colormap.dtype} from {colormap.min()} to {colormap.max()}, expected uint8 or float in "
            "[0, 1] without NaN; convert or clip it."
        )
    return np.rint(colormap * 255).astype(np.uint8)


def _smooth(frames: np.ndarray, settings: DecodingSettings) -> tuple[np.ndarray, np.ndarray]:
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
        smoothed, flatness = _smooth(frame, settings)
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


def _assign(frame: np.ndarray, centers: np.ndarray, settings: DecodingSettings) -> np.ndarray:
    """Index of the nearest centre among those that sure pixels nearby have: intp (H,W)."""
    from scipy import ndimage

    smoothed, flatness = _smooth(frame, settings)
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


def _remove_specks(labels: np.ndarray, min_speck: int) -> np.ndarray:
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


def _number_by_appearance(ids: np.ndarray) -> np.ndarray:
    """Number the ids other than 0 from 1, in the order of their first pixels: uint16, as ids."""
    import pandas

    indices, known = pandas.factorize(ids.ravel())
    numbers = np.cumsum(known > 0) * (known > 0)
    return numbers.astype(np.uint16)[indices].reshape(ids.shape)
