"""Quality of entity ids and of their colormap, without a reference: fragments per entity, colour purity, unassigned pixels.

Needs no labels and no video. Of the fragments of an entity some are right (something in front parts it), so they are to be
read beside those of labels.
"""

from __future__ import annotations

import numpy as np

from udpdiff.measures.segmentation import entity_boxes

PURITY_DISTANCE = 20  # RGB steps of 1/255, Euclidean; a few steps are noise of generator and VAE, mixtures are farther


def unassigned_share(entity_ids: np.ndarray) -> float:
    """Return the share of the pixels that no entity has, in [0, 1], of entity_ids (T, H, W), 0 = none; nan of no pixel."""
    return float(1 - np.count_nonzero(entity_ids) / entity_ids.size) if entity_ids.size else float("nan")


def fragments_per_entity(entity_ids: np.ndarray) -> float:
    """Return in how many pieces an entity lies in a frame: the mean over its frames, then over entities.

    A piece is connected over the sides of its pixels. 1 is the least, for frames in which an entity is not seen do not
    count.

    Args:
        entity_ids: Unsigned integers (T, H, W), 0 = none.

    Returns:
        1 or more; nan without entities.
    """
    import cv2

    pieces: dict[int, list[int]] = {}
    for frame in entity_ids:
        for entity, box in entity_boxes(frame).items():
            if entity != 0:
                mask = (frame[box] == entity).astype(np.uint8)
                pieces.setdefault(entity, []).append(cv2.connectedComponents(mask, connectivity=4)[0] - 1)
    return float(np.mean([np.mean(found) for found in pieces.values()])) if pieces else float("nan")


def color_purity(colormap: np.ndarray, entity_ids: np.ndarray, *, distance: float = PURITY_DISTANCE) -> float:
    """Return the share of entities' pixels that show their entity's colour.

    That colour is the median over the clip, channel by channel. Which colours entities have does not matter, whether they
    keep them does: fades, mixtures at outlines and colours that drift over the clip lower it.

    Args:
        colormap: uint8 (T, H, W, 3).
        entity_ids: Integers (T, H, W), read from it, 0 = none.
        distance: As far as this from the entity's colour a pixel still shows it.

    Returns:
        In [0, 1]; nan without entities.

    Raises:
        ValueError: The shapes do not fit, or the colormap is not of bytes.
    """
    if colormap.dtype != np.uint8 or colormap.shape != (*entity_ids.shape, 3):
        raise ValueError(
            f"Colour purity: got {colormap.dtype} {colormap.shape} and ids {entity_ids.shape}, expected uint8 "
            "(T, H, W, 3) and (T, H, W)."
        )
    ids = np.unique(entity_ids)
    if not ids.any():
        return float("nan")
    colors = _median_colors(colormap, entity_ids, ids)
    pure = 0
    for frame, own in zip(colormap, entity_ids, strict=True):
        gaps = frame - colors[np.searchsorted(ids, own)]
        pure += np.count_nonzero(((gaps**2).sum(-1) <= distance**2) & (own != 0))
    return float(pure / np.count_nonzero(entity_ids))


def _median_colors(colormap: np.ndarray, entity_ids: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """float32 (number of ids, 3): the lower median of each channel, from counts of its 256 values."""
    counts = np.zeros((3, len(ids) * 256), np.int64)
    for frame, own in zip(colormap, entity_ids, strict=True):
        places = np.searchsorted(ids, own) * 256
        for channel in range(3):
            counts[channel] += np.bincount((places + frame[..., channel]).ravel(), minlength=len(ids) * 256)
    sums = counts.reshape(3, len(ids), 256).cumsum(-1)
    return (sums * 2 < sums[..., -1:]).sum(-1).T.astype(np.float32)
