"""Which surface points flicker is taken of."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.measures.flicker import depth_flicker


def test_a_point_between_two_entities_is_not_followed():
    """All move half a pixel to the right: the first column stays on its entity, the second reaches into the other's."""
    z = np.ones((2, 2, 3))
    depth = z.copy()
    depth[1, :, 2] = 9  # seen by those alone who look across the edge
    flow = np.zeros((1, 2, 3, 2))
    flow[..., 0] = 0.5
    entity_ids = np.ones((2, 2, 3), int)
    entity_ids[1, :, 2] = 2
    found = depth_flicker(depth, z, flow, entity_ids)
    assert found.steps.tolist() == [0] and found.true_change == 0
    entity_ids[1, :, 2] = 1
    assert depth_flicker(depth, z, flow, entity_ids).mean == pytest.approx(np.log(9) / 2 / 2)


def test_flicker_pixel_by_pixel():
    """As the definition has it, of motions that leave the picture, end between pixels and cross entities."""
    rng = np.random.default_rng(0)
    depth, z = rng.uniform(0.5, 2, (2, 2, 7, 6))
    flow, entity_ids = rng.normal(0, 1, (1, 7, 6, 2)), np.zeros((2, 7, 6), int)
    entity_ids[:, :, 3:] = 1
    changes = []
    for row, column in np.ndindex(7, 6):
        x, y = column + flow[0, row, column, 0], row + flow[0, row, column, 1]
        left, top = int(np.floor(x)), int(np.floor(y))
        if not (0 <= x <= 5 and 0 <= y <= 6) or (entity_ids[1, top : top + 2, left : left + 2] != column // 3).any():
            continue
        weights = np.outer([top + 1 - y, y - top], [left + 1 - x, x - left])
        then, true = ((weights * np.log(each[1, top : top + 2, left : left + 2])).sum() for each in (depth, z))
        changes.append(abs((then - np.log(depth[0, row, column])) - (true - np.log(z[0, row, column]))))
    assert 10 < len(changes) < 35
    assert depth_flicker(depth, z, flow, entity_ids).mean == pytest.approx(np.mean(changes), rel=1e-12)
