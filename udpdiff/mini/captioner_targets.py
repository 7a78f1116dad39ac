"""What the mini captioner learns from a scene: its description in an order that can be seen, and names for its patches.

The source names the solids in the order in which they were drawn, which no picture tells. Here they come from left to
right, and those that are never seen are left out. Knows scenes; no model.
"""

from __future__ import annotations

import numpy as np

from udpdiff.clip import FIRST_SOLID_ID
from udpdiff.measures.captions import ACTIONS, HEADINGS, seen_solids
from udpdiff.mini.feature_labels import PATTERNS
from udpdiff.sources import scene_captions
from udpdiff.sources.scenes import COLORS, SHAPES

SIZES = ("small", "", "large")
MOTIONS = (*ACTIONS, *HEADINGS)
MOST_SOLIDS = 5
# Of a solid: its values, in the order of the columns of `solid_labels`.
LABELS = {"shape": SHAPES, "color": tuple(COLORS), "pattern": PATTERNS, "size": SIZES, "shiny": (False, True)} | {
    "motion": MOTIONS,
    "place": tuple(range(MOST_SOLIDS)),  # from left to right, among those that are seen
}
_MIRRORED = {"left": "right", "right": "left"}
UNNAMED = -100  # what the cross entropy passes over
MIN_PATCH_SHARE = 0.25  # of a patch, from which on it is named after a solid


def mirrored(scene: dict) -> dict:
    """The description of a scene whose video is mirrored."""
    solids = [solid | {"heading": _MIRRORED.get(solid["heading"], solid["heading"])} for solid in scene["solids"]]
    return scene | {"solids": solids, "camera": _MIRRORED.get(scene["camera"], scene["camera"])}


def seen_caption(scene: dict, order: list[int]) -> str:
    """The detailed caption of what is seen, in this order; the source's where every solid is hidden."""
    return scene_captions.detailed(scene | {"solids": [scene["solids"][index] for index in order] or scene["solids"]})


def seen_order(entity_ids: np.ndarray, num_solids: int) -> list[int]:
    """The solids that are seen, from left to right by the mean column of all their pixels in uint8 (T, H, W)."""
    seen = seen_solids(entity_ids, num_solids)
    return sorted(seen, key=lambda index: np.nonzero(entity_ids == FIRST_SOLID_ID + index)[2].mean())


def solid_labels(scene: dict, order: list[int]) -> np.ndarray:
    """The values of each solid that is seen as indices into LABELS: int64 (MOST_SOLIDS + 1, len(LABELS)), others UNNAMED.

    The last row is for patches without a solid, see `patch_solids`.
    """
    table = np.full((MOST_SOLIDS + 1, len(LABELS)), UNNAMED)
    for place, index in enumerate(order):
        solid = scene["solids"][index]
        described = solid | {"motion": solid["heading"] or solid["action"], "place": place}
        table[index] = [values.index(described[name]) for name, values in LABELS.items()]
    return table


def patch_solids(entity_ids: np.ndarray, patch: int) -> np.ndarray:
    """The solid that fills most of a patch, -1 for none: entity_ids (..., H, W) to int64 (..., H / patch * W / patch)."""
    *leading, height, width = entity_ids.shape
    cells = entity_ids.reshape(-1, height // patch, patch, width // patch, patch)
    counts = np.stack([(cells == FIRST_SOLID_ID + index).sum((2, 4)) for index in range(MOST_SOLIDS)], -1)
    owners = np.where(counts.max(-1) >= MIN_PATCH_SHARE * patch**2, counts.argmax(-1), -1)
    return owners.reshape(*leading, -1)
