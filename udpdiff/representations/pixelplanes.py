"""Pixelplanes: entities as one random colour each, the same in all frames.

Knows nothing of where entities are or how they move. Decoding is `entity_decoding.decode_entities`, offered here too.
Source: UDPDiff section 3.2.
"""

from __future__ import annotations

import numpy as np

from udpdiff.representations.entity_decoding import decode_entities
from udpdiff.representations.painting import paint, unpack_colors

__all__ = ["decode_entities", "draw_colors", "encode_entities"]

_TRIES_PER_COLOR = 64
_CHUNK_PIXELS = 1 << 18


def encode_entities(
    entity_ids: np.ndarray, rng: np.random.Generator, min_color_distance: float = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Paint every entity in a colour of its own, 0 in black.

    entity_ids: unsigned or signed integers >= 0, (..., H, W). min_color_distance: see `draw_colors`.
    Returns (colormap uint8 (..., H, W, 3), colors uint8 (N,3)): colors[i] is the colour of id i, black for 0 and for
    ids that do not occur. Raises ValueError for another dtype or negative ids.
    """
    entity_ids = np.asarray(entity_ids)
    if entity_ids.dtype.kind not in "ui" or (entity_ids.size and entity_ids.min() < 0):
        raise ValueError(f"entity_ids: got dtype {entity_ids.dtype}, expected integers >= 0; convert them to uint16.")
    present = _occurring(entity_ids.ravel())
    present[0] = False
    colors = np.zeros((len(present), 3), np.uint8)
    colors[present] = draw_colors(np.count_nonzero(present), rng, min_color_distance)
    return paint(entity_ids, colors), colors


def _occurring(ids: np.ndarray) -> np.ndarray:
    """Whether each id from 0 to the largest occurs among ids (n,): bool (N,)."""
    occurs = np.zeros(int(ids.max(initial=0)) + 1, bool)
    for start in range(0, len(ids), _CHUNK_PIXELS):
        chunk = ids[start : start + _CHUNK_PIXELS]
        occurs[chunk[0]] = True
        occurs[chunk[1:][chunk[1:] != chunk[:-1]]] = True  # most pixels have their neighbour's id
    return occurs


def draw_colors(count: int, rng: np.random.Generator, min_color_distance: float = 0) -> np.ndarray:
    """Draw `count` different random colours, none black: uint8 (count,3).

    min_color_distance: Euclidean, in RGB steps of 1/255, between any two and from black. Where random trial finds no
    room for it, it is lowered by a tenth at a time; colours differ in any case. The same rng gives the same colours.
    Raises ValueError for a negative count or distance, or more colours than there are.
    """
    if min_color_distance < 0 or not 0 <= count < 1 << 24:
        raise ValueError(
            f"draw_colors: got count {count}, min_color_distance {min_color_distance}, expected 0 <= count < 2^24 and "
            "a distance >= 0; correct the call."
        )
    if min_color_distance <= 1:  # different bytes are at least 1 apart
        return unpack_colors(rng.choice((1 << 24) - 1, size=count, replace=False) + 1)
    colors = np.zeros((count + 1, 3), np.int32)
    distance = float(min_color_distance)
    for filled in range(1, count + 1):
        while True:
            candidates = rng.integers(0, 256, (_TRIES_PER_COLOR, 3), dtype=np.int32)
            gaps = candidates[:, None] - colors[None, :filled]
            nearest = np.einsum("kfc,kfc->kf", gaps, gaps).min(axis=1)
            fits = np.flatnonzero(nearest >= max(distance, 1) ** 2)
            if len(fits):
                colors[filled] = candidates[fits[0]]
                break
            distance *= 0.9
    return colors[1:].astype(np.uint8)
