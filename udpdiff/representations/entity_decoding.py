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
from udpdiff.representations.pixel_assignment import PixelAssignment, Votes
from udpdiff.representations.smoothing import flatness, smooth, smooth_at
from udpdiff.representations.specks import remove_specks

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

    @property
    def votes(self) -> Votes:
        """The part that assigning pixels needs."""
        return Votes(self.sure_distance, self.tile, self.reach, self.flat_gradient)


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
            return _number_by_appearance(exact, background=0)
    sample = _sample(colormap, settings)
    centers = _find_centers(sample, settings) if palette is None else np.vstack([np.zeros((1, 3)), palette])
    centers = centers.astype(np.float32)
    labels = assign_nearest(sample.colors, centers)
    tracks = frame_centers(sample, labels, centers, settings.drift_prior, len(colormap))
    ids = np.empty(colormap.shape[:3], np.uint16)
    assign = PixelAssignment(settings.votes)
    for frame_idx, frame in enumerate(colormap):
        ids[frame_idx] = remove_specks(assign(frame, tracks[:, frame_idx]), settings.min_speck)
    if palette is not None:
        return ids
    black = np.linalg.norm(centers, axis=1)
    return _number_by_appearance(ids, int(black.argmin()) if black.min() <= settings.black_distance else -1)


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
    pixels = np.empty(colormap.shape, np.uint8)
    for frame, given in zip(pixels, colormap, strict=True):
        frame[...] = np.rint(given * 255)
    return pixels


def _sample(colormap: np.ndarray, settings: DecodingSettings) -> FlatPixels:
    """Smoothed pixels of every frame, on a grid so coarse that their number stays bounded."""
    num_frames, height, width = colormap.shape[:3]
    stride = max(1, int(np.ceil(np.sqrt(num_frames * height * width / _SAMPLE_PIXELS))))
    rows, columns = np.arange(0, height, stride), np.arange(0, width, stride)
    # Each of the grid's rows and columns with its neighbours.
    beside = [
        np.clip(np.add.outer([-1, 0, 1], each), 0, size - 1).ravel()
        for each, size in ((rows, height), (columns, width))
    ]
    shape = (3, len(rows), 3, len(columns), 3)
    colors, weights = [], []
    for frame in colormap:
        around = smooth_at(frame, *beside) if stride > 2 else smooth(frame)[np.ix_(*beside)]
        around = around.reshape(shape)
        before, after = (np.stack([around[i, :, 1], around[1, :, i]]) for i in (0, 2))
        colors.append(around[1, :, 1].reshape(-1, 3))
        weights.append(flatness(before, after, settings.flat_gradient).ravel())
    frame_idx = np.repeat(np.arange(num_frames), len(weights[0]))
    return FlatPixels(np.concatenate(colors), np.concatenate(weights), frame_idx)


def _find_centers(sample: FlatPixels, settings: DecodingSettings) -> np.ndarray:
    centers = find_modes(sample, settings.bin_size, settings.min_share, settings.merge_distance)
    if not len(centers):  # nothing is flat enough: the whole clip is one colour at best
        return sample.colors.mean(axis=0, keepdims=True)
    for _ in range(2):
        centers = split_modes(sample, centers, settings.min_share, settings.split_dip)
    return centers


def _number_by_appearance(ids: np.ndarray, background: int) -> np.ndarray:
    """Number ids from 1, in the order of their first pixels, the background 0: in place, uint16 (T,H,W)."""
    numbers = np.zeros(int(ids.max()) + 1, np.uint16)
    known = np.zeros(len(numbers), bool)
    if 0 <= background < len(known):
        known[background] = True
    count = 0
    for frame in ids:
        if not np.take(known, frame, mode="clip").all():
            found, first = np.unique(frame, return_index=True)
            new = found[np.argsort(first)]
            new = new[~known[new]]
            numbers[new] = np.arange(count + 1, count + 1 + len(new))
            known[new], count = True, count + len(new)
        frame[...] = np.take(numbers, frame, mode="clip")
    return ids
