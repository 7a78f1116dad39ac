"""Finds the colours that a degraded colormap was painted with: the modes of its flat pixels' colours, over all frames.

Knows nothing about where pixels lie, beyond how flat their surroundings are and which frame they are of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Splitting looks at plateaus alone, as slopes towards other colours would set the main axis; and two colours of less
# than this distance (in steps of 1/255) are noise of one.
_PLATEAU = 0.8
_LEAST_GAP = 4


@dataclass(frozen=True)
class FlatPixels:
    """Smoothed colours of a clip's pixels, with how much each can be trusted.

    colors: float32 (n,3) in [0, 255]. weights: float32 (n,), 1 in flat places, near 0 on edges. frame_idx: intp (n,).
    """

    colors: np.ndarray
    weights: np.ndarray
    frame_idx: np.ndarray


def find_modes(pixels: FlatPixels, bin_size: int, min_share: float, merge_distance: float) -> np.ndarray:
    """Return the colours around which flat pixels gather, the most frequent first: float32 (K,3).

    bin_size: resolution of the density, a divisor of 256. min_share: least share of the pixels' number that a mode must
    gather, in weight. merge_distance: modes closer than this count as one.
    """
    from scipy import ndimage

    bins = 256 // bin_size
    cells = np.minimum(pixels.colors / bin_size, bins - 1).astype(np.intp)
    codes = (cells[:, 0] * bins + cells[:, 1]) * bins + cells[:, 2]
    mass = np.bincount(codes, pixels.weights, bins**3)
    sums = [np.bincount(codes, pixels.weights * pixels.colors[:, channel], bins**3) for channel in range(3)]
    cube = mass.reshape(bins, bins, bins).astype(np.float32)
    density = ndimage.gaussian_filter(cube, 1, mode="constant", truncate=2)
    is_peak = (density == ndimage.maximum_filter(density, 3)) & (density > 0)
    near_mass, *near_sums = (_sum_near(grid.reshape(cube.shape), is_peak) for grid in (mass, *sums))
    heavy = near_mass >= min_share * len(pixels.colors)
    centers = np.stack(near_sums, axis=-1)[heavy] / near_mass[heavy, None]
    return _merge_close(centers[np.argsort(-near_mass[heavy], kind="stable")], merge_distance).astype(np.float32)


def assign_nearest(colors: np.ndarray, centers: np.ndarray) -> np.ndarray:
    """Return the index of the nearest centre: intp (n,) for colors (n,3)."""
    return np.argmin((centers**2).sum(axis=1) - 2 * colors @ centers.T, axis=1)


def split_modes(pixels: FlatPixels, centers: np.ndarray, min_share: float, max_dip: float) -> np.ndarray:
    """Split the centres that hold two colours too close for the density: float32 (K',3).

    Colours are seen relative to their cluster's mean in each frame, so that a drift over time does not look like two
    colours. A cluster is cut in two along its main axis if both halves weigh at least `min_share` of the pixels and the
    density between their means is at most `max_dip` times the density at either; the tail that blur gives a colour
    fails this test, a second colour passes it.
    """
    least_mass, count = min_share * len(pixels.colors), len(centers)
    flat = pixels.weights > _PLATEAU
    pixels = FlatPixels(pixels.colors[flat], pixels.weights[flat], pixels.frame_idx[flat])
    if not len(pixels.colors):
        return centers
    labels = assign_nearest(pixels.colors, centers)
    means = frame_centers(pixels, labels, centers, prior_weight=1e-3)
    residuals = pixels.colors - means[labels, pixels.frame_idx]
    axes = _main_axes(residuals, pixels.weights, labels, count)
    along = np.einsum("nc,nc->n", residuals, axes[labels])
    places = labels * means.shape[1] + pixels.frame_idx
    low, high, mass, along = _two_means(along, pixels.weights, labels, places, count)
    window = (high - low) / 6

    def density(middle: np.ndarray) -> np.ndarray:
        inside = np.abs(along - middle[labels]) <= window[labels]
        return np.bincount(labels, pixels.weights * inside, count)

    has_dip = density((low + high) / 2) <= max_dip * np.minimum(density(low), density(high))
    cut = has_dip & (mass >= least_mass) & (high - low > _LEAST_GAP)
    lower, higher = (centers[cut] + middle[cut, None] * axes[cut] for middle in (low, high))
    return np.concatenate([centers[~cut], lower, higher]).astype(np.float32)


def frame_centers(
    pixels: FlatPixels, labels: np.ndarray, centers: np.ndarray, prior_weight: float, num_frames: int | None = None
) -> np.ndarray:
    """Return each centre in each frame, drawn towards its mean over the clip where a frame shows little of it.

    prior_weight: flat pixels that the clip's mean counts for. Returns float32 (K,T,3).
    """
    num_frames = num_frames or int(pixels.frame_idx.max()) + 1
    places = labels * num_frames + pixels.frame_idx
    shape = (len(centers), num_frames)
    mass = np.bincount(places, pixels.weights, np.prod(shape)).reshape(shape)
    sums = np.stack(
        [np.bincount(places, pixels.weights * pixels.colors[:, c], np.prod(shape)).reshape(shape) for c in range(3)],
        axis=-1,
    )
    clip_mass = mass.sum(axis=1)[:, None]
    clip_means = np.where(clip_mass > 0, sums.sum(axis=1) / np.maximum(clip_mass, 1e-9), centers)
    means = (sums + prior_weight * clip_means[:, None]) / (mass + prior_weight)[..., None]
    return means.astype(np.float32)


def _sum_near(grid: np.ndarray, is_peak: np.ndarray) -> np.ndarray:
    """Sum of the 27 cells around each peak."""
    padded = np.pad(grid, 1)
    x, y, z = np.nonzero(is_peak)
    offsets = [(i, j, k) for i in range(3) for j in range(3) for k in range(3)]
    return sum(padded[x + i, y + j, z + k] for i, j, k in offsets)


def _merge_close(centers: np.ndarray, merge_distance: float) -> np.ndarray:
    kept: list[int] = []
    for index, center in enumerate(centers):
        gaps = centers[kept] - center
        if not kept or (gaps * gaps).sum(axis=1).min() > merge_distance**2:
            kept.append(index)
    return centers[kept]


def _main_axes(residuals: np.ndarray, weights: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
    covariance = np.zeros((count, 3, 3))
    for i in range(3):
        for j in range(i, 3):
            product = weights * residuals[:, i] * residuals[:, j]
            covariance[:, i, j] = covariance[:, j, i] = np.bincount(labels, product, count)
    return np.linalg.eigh(covariance)[1][:, :, -1]


def _two_means(
    along: np.ndarray, weights: np.ndarray, labels: np.ndarray, places: np.ndarray, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Cut each cluster's positions in two: lower and upper mean, mass of the lighter half, corrected positions.

    places: number of the pixel's cluster and frame. A frame's mean moves with its share of either half, not only with
    drift; so positions are corrected by how far a frame lies from both halves' means.
    """
    cut = np.zeros(count)
    place_mass = np.maximum(np.bincount(places, weights), 1e-9)
    for _ in range(6):
        halves = labels + count * (along > cut[labels])
        mass = np.bincount(halves, weights, 2 * count)
        means = np.bincount(halves, weights * along, 2 * count) / np.maximum(mass, 1e-9)
        shift = np.bincount(places, weights * (along - means[halves])) / place_mass
        along = along - shift[places]
        low, high = means.reshape(2, count)
        cut = (low + high) / 2
    return low, high, mass.reshape(2, count).min(axis=0), along
