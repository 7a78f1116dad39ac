"""UniGS's location-aware colormap: an entity's colour tells where its centroid was when it first appeared.

Entities whose centroids share a grid cell share a colour; that is the fault that table 6 measures, so it is kept.
Source: UniGS section 3 as UDPDiff section 3.2 describes it. The authors settle neither order nor grid size: the palette
is {0,64,128,192,255}^3 without black in lexicographic RGB order, of which an 11 x 11 grid takes the first 121.
"""

from __future__ import annotations

import numpy as np

from udpdiff.representations.painting import paint

_LEVELS = (0, 64, 128, 192, 255)
PALETTE_SIZE = len(_LEVELS) ** 3 - 1


def encode_entities(entity_ids: np.ndarray, grid: int = 11) -> np.ndarray:
    """Paint every entity in the colour of the grid cell that holds its centroid in its first frame; 0 is black.

    entity_ids: unsigned integers (T,H,W). grid: cells along each side, grid^2 <= 124. Returns uint8 (T,H,W,3).
    Raises ValueError for another shape, dtype or grid.
    """
    entity_ids = np.asarray(entity_ids)
    if entity_ids.ndim != 3 or entity_ids.dtype.kind != "u":
        raise ValueError(
            f"entity_ids: got {entity_ids.dtype} {entity_ids.shape}, expected unsigned integers (T,H,W); convert them."
        )
    cells = entity_cells(entity_ids, grid)
    colors = np.zeros((len(cells), 3), np.uint8)
    present = cells >= 0
    colors[present] = location_palette()[cells[present]]
    return paint(entity_ids, colors)


def location_palette() -> np.ndarray:
    """Return the colours in order, without black: uint8 (124,3)."""
    levels = np.array(_LEVELS, np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(-1, 3)[1:]


def entity_cells(entity_ids: np.ndarray, grid: int) -> np.ndarray:
    """Return, by id, the grid cell (row-major) of the centroid in the entity's first frame; -1 for 0 and absent ids.

    Pixel centres lie at half-integers, so that mirrored masks fall into mirrored cells.
    """
    if not 1 <= grid * grid <= PALETTE_SIZE:
        raise ValueError(f"grid: got {grid}, expected 1 to 11, as there are {PALETTE_SIZE} colours; lower it.")
    num_ids = int(entity_ids.max(initial=0)) + 1
    height, width = entity_ids.shape[1:]
    rows, columns = (axis.ravel() + 0.5 for axis in np.mgrid[:height, :width])
    cells = np.full(num_ids, -1)
    for frame in entity_ids:
        ids = frame.ravel()
        area = np.bincount(ids, minlength=num_ids)
        new = (area > 0) & (cells < 0)
        new[0] = False
        if new.any():
            y = np.bincount(ids, rows, num_ids)[new] / area[new]
            x = np.bincount(ids, columns, num_ids)[new] / area[new]
            cells[new] = (y * grid / height).astype(int) * grid + (x * grid / width).astype(int)
    return cells
