"""Fragments, unassigned area and colour purity by hand, and their limits."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.measures.entity_regions import PURITY_DISTANCE, color_purity, fragments_per_entity, unassigned_share


def two_halves():
    ids = np.zeros((2, 6, 8), np.uint16)
    ids[:, :, :4], ids[:, :, 4:] = 3, 7
    return ids


def painted(ids, colors):
    return np.array(colors, np.uint8)[ids]


COLORS = [(0, 0, 0)] + [(10 * index, 200 - 20 * index, 255 - index) for index in range(1, 9)]


def test_whole_entities_are_in_one_piece_each():
    assert fragments_per_entity(two_halves()) == 1 and unassigned_share(two_halves()) == 0
    assert fragments_per_entity(np.ones((1, 3, 3), np.uint16)) == 1, "one entity, one frame"


def test_pieces_are_connected_over_sides_in_each_frame():
    ids = two_halves()
    ids[1, 2] = 0  # in the second frame a row parts both
    assert fragments_per_entity(ids) == pytest.approx((1 + 2) / 2)
    assert unassigned_share(ids) == pytest.approx(8 / 96)
    corner = np.zeros((1, 2, 2), np.uint16)
    corner[0, 0, 0] = corner[0, 1, 1] = 5
    assert fragments_per_entity(corner) == 2, "a corner does not connect"


def test_every_entity_counts_alike_over_the_frames_in_which_it_is_seen():
    ids = np.zeros((4, 5, 5), np.uint16)
    ids[:, 0] = 1
    ids[3, 2, ::2] = 2  # three pieces, in one frame
    assert fragments_per_entity(ids) == pytest.approx((1 + 3) / 2)


def test_without_entities_there_is_only_unassigned_area():
    empty = np.zeros((2, 4, 4), np.uint16)
    assert unassigned_share(empty) == 1 and np.isnan(fragments_per_entity(empty))
    assert np.isnan(color_purity(np.zeros((2, 4, 4, 3), np.uint8), empty))
    assert np.isnan(unassigned_share(empty[:0]))


def test_painted_colours_are_pure_whichever_they_are():
    ids = two_halves()
    assert color_purity(painted(ids, COLORS), ids) == 1
    assert color_purity(painted(ids, COLORS[::-1]), ids) == 1, "swapped colours"
    assert color_purity(painted(ids, COLORS)[:1], ids[:1]) == 1, "T = 1"


def test_pixels_farther_than_the_limit_are_not():
    ids = two_halves()
    colormap = painted(ids, COLORS)
    colormap[0, 0, 0, 0] += PURITY_DISTANCE
    assert color_purity(colormap, ids) == 1
    colormap[0, 0, 0, 1] += 1
    assert color_purity(colormap, ids) == 1 - 1 / 96
    colormap[0, 0, 1] = (255, 255, 255)
    assert color_purity(colormap, ids) == 1 - 2 / 96
    ids[0, 0, 1] = 0
    assert color_purity(colormap, ids) == 1 - 1 / 95, "unassigned pixels are no entity's"


def test_colours_that_drift_and_one_corrupted_frame_cost():
    ids = np.ones((4, 3, 3), np.uint16)
    colormap = np.full((4, 3, 3, 3), 100, np.uint8)
    colormap[3] = 200
    assert color_purity(colormap, ids) == 3 / 4
    drifting = (100 + 30 * np.arange(4, dtype=np.uint8))[:, None, None, None].repeat(3, 1).repeat(3, 2).repeat(3, 3)
    assert color_purity(drifting, ids) == 1 / 4


def test_medians_are_those_of_numpy():
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 4, (3, 9, 11)).astype(np.uint16)
    colormap = rng.integers(0, 256, (3, 9, 11, 3)).astype(np.uint8)
    pure = 0
    for entity in (1, 2, 3):
        own = colormap[ids == entity].astype(int)
        gaps = own - np.percentile(own, 50, axis=0, method="inverted_cdf")
        pure += (np.linalg.norm(gaps, axis=1) <= 90).sum()
    assert color_purity(colormap, ids, distance=90) == pytest.approx(pure / (ids > 0).sum())


def test_shapes_and_types_are_checked():
    for colormap in (np.zeros((2, 6, 8, 3)), np.zeros((2, 6, 7, 3), np.uint8)):
        with pytest.raises(ValueError, match="Colour purity: got"):
            color_purity(colormap, two_halves())
