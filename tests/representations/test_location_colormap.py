"""The location-aware colormap: a fixed palette, the centroid of the first frame, collisions kept."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.representations.location_colormap import encode_entities, entity_cells, location_palette


def test_palette_is_lexicographic_without_black():
    palette = location_palette()
    assert palette.shape == (124, 3) and palette.dtype == np.uint8
    assert palette[:6].tolist() == [[0, 0, 64], [0, 0, 128], [0, 0, 192], [0, 0, 255], [0, 64, 0], [0, 64, 64]]
    assert palette.tolist() == sorted(palette.tolist()) and palette[-1].tolist() == [255, 255, 255]
    assert len(np.unique(palette, axis=0)) == 124


def squares(*places: tuple[int, int], size: int = 110) -> np.ndarray:
    ids = np.zeros((1, size, size), np.uint16)
    for number, (top, left) in enumerate(places, start=1):
        ids[0, top : top + 4, left : left + 4] = number
    return ids


@pytest.mark.parametrize(("top", "left", "cell"), [(0, 0, 0), (0, 106, 10), (52, 31, 5 * 11 + 3), (106, 106, 120)])
def test_the_centroid_picks_the_cell(top, left, cell):
    colormap = encode_entities(squares((top, left)))
    np.testing.assert_array_equal(colormap[0, top, left], location_palette()[cell])
    assert np.count_nonzero(colormap.any(axis=-1)) == 16


def test_a_moving_entity_keeps_its_color():
    ids = np.concatenate([squares((10, 10)), squares((10, 60)), squares((90, 90))])
    colormap = encode_entities(ids)
    assert len(np.unique(colormap[ids == 1], axis=0)) == 1
    np.testing.assert_array_equal(colormap[2, 90, 90], location_palette()[11 + 1])


def test_a_late_entity_takes_the_cell_of_its_first_frame():
    late = squares((0, 0), (50, 50))
    ids = np.concatenate([squares((0, 0)), late, np.roll(late, 30, axis=1)])
    np.testing.assert_array_equal(encode_entities(ids)[2, 80, 50], location_palette()[5 * 11 + 5])


def test_entities_of_one_cell_share_a_color():
    colormap = encode_entities(squares((51, 51), (55, 55)))
    np.testing.assert_array_equal(colormap[0, 51, 51], colormap[0, 58, 58])


def test_ids_do_not_matter():
    ids = squares((5, 5), (70, 20), (20, 80))
    renamed = np.array([0, 900, 3, 41], np.uint16)[ids]
    np.testing.assert_array_equal(encode_entities(ids), encode_entities(renamed))


def test_mirrored_entities_fall_into_mirrored_cells():
    """Pixel centres lie at half-integers: columns 0 to 3 of 4 are in thirds 0, 1, 1, 2, from either side."""
    for axis, step in ((1, 3), (2, 1)):
        cells = []
        for place in range(4):
            ids = np.zeros((1, 4, 4), np.uint16)
            ids[(0, place, slice(None)) if axis == 1 else (0, slice(None), place)] = 1
            cells.append(int(entity_cells(ids, 3)[1]))
        middle = 1 if axis == 1 else 3  # the other axis: the middle third
        assert cells == [middle + step * third for third in (0, 1, 1, 2)]


def test_sides_of_different_length_have_as_many_cells():
    ids = np.zeros((1, 30, 90), np.uint16)
    ids[0, 20:30, 0:30] = 1  # last third from the top, first from the left
    assert entity_cells(ids, 3)[1] == 2 * 3 + 0


def test_grid_size_is_a_parameter():
    np.testing.assert_array_equal(encode_entities(squares((106, 106)), grid=2)[0, 107, 107], location_palette()[3])


@pytest.mark.parametrize("grid", [0, 12])
def test_grids_beyond_the_palette_are_refused(grid):
    with pytest.raises(ValueError, match="expected 1 to 11"):
        encode_entities(squares((0, 0)), grid)


@pytest.mark.parametrize("ids", [np.zeros((4, 4), np.uint16), np.zeros((1, 4, 4), np.int64)])
def test_bad_ids_are_refused(ids):
    with pytest.raises(ValueError, match="unsigned integers"):
        encode_entities(ids)
