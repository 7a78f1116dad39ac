"""Removes patches of a few pixels from a picture of labels."""

from __future__ import annotations

import numpy as np

_NEAR = 3  # pixels: as far away the nearest label is looked for step by step


def remove_specks(labels: np.ndarray, min_speck: int) -> np.ndarray:
    """Give connected patches (4 neighbours) of fewer than `min_speck` pixels the label of the nearest pixel of a larger one.

    labels: integers (H,W). Of several that are equally near, the pixel farthest to the left is taken, and of those the
    topmost. Where there is no larger patch, nothing changes. Returns labels of the same type, the given ones if nothing
    changes.
    """
    specks = _find_specks(labels, min_speck) if min_speck > 1 else np.empty(0, np.intp)
    if len(specks) in (0, labels.size):
        return labels
    height, width = labels.shape
    kept = np.zeros((height + 2 * _NEAR, width + 2 * _NEAR), bool)
    kept[_NEAR:-_NEAR, _NEAR:-_NEAR] = True
    kept[_NEAR:-_NEAR, _NEAR:-_NEAR].flat[specks] = False
    cleaned, left = labels.copy(), specks
    for down, right in _steps_outwards():
        found = kept[left // width + _NEAR + down, left % width + _NEAR + right]
        cleaned.flat[left[found]] = labels.flat[left[found] + down * width + right]
        left = left[~found]
        if not len(left):
            return cleaned
    return _fill_far(labels, cleaned, kept[_NEAR:-_NEAR, _NEAR:-_NEAR], left)


def _find_specks(labels: np.ndarray, min_speck: int) -> np.ndarray:
    """Flat indices of the pixels in patches that are too small.

    A square of one label, large enough by itself, cannot lie in a speck; so patches are followed among the few pixels
    outside such squares alone.
    """
    from scipy import sparse

    height, width = labels.shape
    in_square = _in_squares(labels, int(np.ceil(np.sqrt(min_speck))))
    places = np.flatnonzero(~in_square)
    number = np.zeros(labels.size, np.intp)
    number[places] = np.arange(len(places))
    flat, large = labels.ravel(), in_square.ravel()
    touches = np.zeros(len(places), bool)
    starts, ends = [], []
    for step, inside in ((1, places % width < width - 1), (width, places // width < height - 1)):
        first = places[inside]
        first = first[flat[first] == flat[first + step]]
        touches[number[first[large[first + step]]]] = True
        both = first[~large[first + step]]
        starts.append(number[both])
        ends.append(number[both + step])
    for step, inside in ((1, places % width > 0), (width, places // width > 0)):
        last = places[inside]
        last = last[(flat[last] == flat[last - step]) & large[last - step]]
        touches[number[last]] = True
    starts, ends = np.concatenate(starts), np.concatenate(ends)
    links = sparse.coo_matrix((np.ones(len(starts), bool), (starts, ends)), shape=(len(places),) * 2)
    _, patches = sparse.csgraph.connected_components(links, directed=False)
    sizes = np.bincount(patches) + min_speck * (np.bincount(patches, touches) > 0)
    return places[sizes[patches] < min_speck]


def _in_squares(labels: np.ndarray, side: int) -> np.ndarray:
    """Whether each pixel lies in a square of so many pixels a side that has one label."""
    inside = np.zeros(labels.shape, bool)
    if min(labels.shape) < side:
        return inside
    rows, columns = (size - side + 1 for size in labels.shape)
    whole = np.ones((rows, columns), bool)
    across, down = labels[:, 1:] == labels[:, :-1], labels[1:] == labels[:-1]
    for i in range(side):
        for j in range(side - 1):
            whole &= across[i : i + rows, j : j + columns]
            whole &= down[j : j + rows, i : i + columns]
    for i in range(side):
        for j in range(side):
            inside[i : i + rows, j : j + columns] |= whole
    return inside


def _steps_outwards() -> list[tuple[int, int]]:
    """Steps (down, right) by distance, then from left to right, then downwards."""
    reach = range(-_NEAR, _NEAR + 1)
    steps = [(down, right) for down in reach for right in reach if 0 < down**2 + right**2 <= _NEAR**2]
    return sorted(steps, key=lambda step: (step[0] ** 2 + step[1] ** 2, step[1], step[0]))


def _fill_far(labels: np.ndarray, cleaned: np.ndarray, kept: np.ndarray, left: np.ndarray) -> np.ndarray:
    from scipy import ndimage

    rows, columns = ndimage.distance_transform_edt(~kept, return_distances=False, return_indices=True)
    cleaned.flat[left] = labels[rows.flat[left], columns.flat[left]]
    return cleaned
