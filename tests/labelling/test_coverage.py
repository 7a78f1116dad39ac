"""What is said of a clip's entities, and when too little of it is labelled."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.clip import Rejection
from udpdiff.labelling.depth import depth_steps
from udpdiff.labelling.entities import check_entities


@pytest.mark.parametrize(("min_coverage", "kept"), [(0.625, True), (0.626, False)])
def test_a_clip_of_which_just_the_share_is_labelled_is_kept(min_coverage, kept):
    entity_ids = np.zeros((2, 2, 4), np.uint16)
    entity_ids[0], entity_ids[1, 0, 0], entity_ids[1, 1, 0] = 3, 3, 9
    labelled = check_entities(entity_ids, np.float32([1, 0.25]), min_coverage)
    assert labelled.scores == {"coverage": 0.625, "min_coverage": 0.25, "entities": 2}
    assert (labelled.rejected is None) == kept
    if kept:
        assert np.array_equal(labelled.arrays["entity_ids"], entity_ids)
    else:
        assert labelled.rejected.reason == Rejection.LOW_COVERAGE and labelled.arrays == {}


def test_a_clip_without_entities_says_so_whatever_is_needed():
    labelled = check_entities(np.zeros((2, 2, 4), np.uint16), np.zeros(2, np.float32), 0.0)
    assert labelled.rejected.reason == Rejection.NO_ENTITIES and labelled.scores["entities"] == 0


def test_the_nearest_pixel_is_stored_as_the_largest_number():
    depth = np.float32([[[0, 0.25], [0.5, 1]]])
    steps = depth_steps(lambda video: depth)
    stored = steps.finish(steps.model(steps.prepare(np.zeros((1, 2, 2, 3), np.uint8)))).arrays["depth"]
    assert stored.dtype == np.uint16 and stored.tolist() == [[[0, 16384], [32768, 65535]]]
