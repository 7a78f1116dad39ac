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
