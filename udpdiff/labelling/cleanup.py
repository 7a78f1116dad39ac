"""Clean-up of propagated entities: overlapping mask logits, or ids with specks and holes, -> one tidy id per pixel.

The whole chain from a video file:

    >>> from udpdiff import CropFormer, MaskTracker, clean_entities, read_video
    >>> video = read_video("clip.mp4")
    >>> first = CropFormer.from_pretrained("mini:cropformer").segment(video[0])
    >>> entity_ids, coverage = clean_entities(*MaskTracker.from_pretrained("mini:sam2").track(video, first))

It knows nothing about where the logits came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CleanupSettings:
    """What goes.

    Attributes:
        min_component_share: Components and holes smaller than this share of a frame are removed; 0 keeps everything.
    """

    min_component_share: float = 0.001

    def __post_init__(self):
        if not 0 <= self.min_component_share < 1:
            raise ValueError(
                f"Got min_component_share={self.min_component_share}. Expected a share of the frame in [0, 1); "
                "0.001 is a thousandth of it."
            )


DEFAULT_SETTINGS = CleanupSettings()


def clean_entities(
    entities: np.ndarray, ids: Sequence[int] | None = None, settings: CleanupSettings = DEFAULT_SETTINGS
) -> tuple[np.ndarray, np.ndarray]:
    """Make entities non-overlapping and free of specks and small holes.

    A 4-connected component that is too small loses its label; then unlabelled components that are too small take the
    nearest label of their frame, and larger ones stay 0.

    Args:
        entities: Mask logits, float (N, T, H, W), or integer entity ids (T, H, W), 0 = none.
        ids: Of the N logits; None for entity ids.
        settings: What is too small.

    Returns:
        entity_ids uint16 (T, H, W) and the labelled share of each frame, float32 (T,).

    Raises:
        ValueError: Other inputs.

    Source: UDPDiff, data annotation ("remove small holes and the empty area"; it gives no numbers).
    """
    if np.issubdtype(entities.dtype, np.floating):
        entity_ids = resolve_overlap(entities, ids)
    elif np.issubdtype(entities.dtype, np.integer) and entities.ndim == 3 and ids is None:
        entity_ids = entities.astype(np.uint16)
    else:
        raise ValueError(
            f"Got entities {entities.dtype} {entities.shape} and ids {ids}. "
            "Expected float logits (N, T, H, W) with ids, or integer ids (T, H, W) without."
        )
    min_pixels = settings.min_component_share * entity_ids[0].size
    for frame in entity_ids:
        _tidy(frame, min_pixels)
    return entity_ids, (entity_ids > 0).mean(axis=(1, 2), dtype=np.float32)


def resolve_overlap(logits: np.ndarray, ids: Sequence[int] | None) -> np.ndarray:
    """uint16 (T, H, W): the id of the largest logit of (N, T, H, W), 0 where none is positive."""
    if logits.ndim != 4 or ids is None or len(ids) != len(logits) or len(logits) == 0:
        raise ValueError(
            f"Got logits {logits.shape} and ids {ids}. Expected (N, T, H, W) and N ids, as MaskTracker.track returns."
        )
    entity_ids = np.asarray(ids, np.uint16)[logits.argmax(axis=0)]
    entity_ids[logits.max(axis=0) <= 0] = 0
    return entity_ids


def component_sizes(frame: np.ndarray) -> np.ndarray:
    """Number of pixels of the 4-connected component of equal ids that each pixel of (H, W) lies in.

    One labelling call for all ids: pixels are laid out two apart, and the gap between two is filled where their ids
    agree, so that the components of the wider image are the components of equal ids.
    """
    from scipy import ndimage

    height, width = frame.shape
    linked = np.zeros((2 * height - 1, 2 * width - 1), bool)
    linked[::2, ::2] = True
    linked[1::2, ::2] = frame[1:] == frame[:-1]
    linked[::2, 1::2] = frame[:, 1:] == frame[:, :-1]
    components = ndimage.label(linked)[0][::2, ::2]
    return np.bincount(components.ravel())[components]


def _tidy(frame: np.ndarray, min_pixels: float) -> None:
    """Remove specks from ids (H, W) and fill small unlabelled components, in place."""
    frame[(component_sizes(frame) < min_pixels) & (frame > 0)] = 0
    unlabelled = frame == 0
    if not unlabelled.any() or unlabelled.all():
        return
    # Sizes anew: a removed speck may have joined unlabelled pixels around it.
    holes = unlabelled & (component_sizes(frame) < min_pixels)
    if holes.any():
        from scipy import ndimage

        rows, columns = ndimage.distance_transform_edt(unlabelled, return_distances=False, return_indices=True)
        frame[holes] = frame[rows[holes], columns[holes]]
