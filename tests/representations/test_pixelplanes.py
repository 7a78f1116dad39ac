"""Pixelplanes: colours are all different, seeded, and as far apart as asked where there is room."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.representations.pixelplanes import draw_colors, encode_entities


def smallest_distance(colors: np.ndarray) -> float:
    with_black = np.vstack([colors, [[0, 0, 0]]]).astype(int)
    gaps = np.linalg.norm(with_black[:, None] - with_black[None], axis=-1)
    return gaps[~np.eye(len(gaps), dtype=bool)].min()


@pytest.mark.parametrize("distance", [0, 1, 32, 80])
def test_colors_keep_their_distance(distance):
    colors = draw_colors(20, np.random.default_rng(0), distance)
    assert colors.shape == (20, 3) and colors.dtype == np.uint8
    assert smallest_distance(colors) >= max(distance, 1)


@pytest.mark.parametrize("distance", [0, 2.5, 400])
def test_impossible_distances_are_relaxed_but_colors_differ(distance):
    assert smallest_distance(draw_colors(300, np.random.default_rng(1), distance)) >= 1


def test_many_colors_never_collide():
    # Drawn with replacement, 60,000 of 2^24 colours would collide about a hundred times.
    colors = draw_colors(60_000, np.random.default_rng(2)).astype(int)
    assert len(np.unique(colors @ [65536, 256, 1])) == 60_000 and colors.any(axis=1).all()


@pytest.mark.parametrize(("drawn", "color"), [(0, [0, 0, 1]), (256, [0, 1, 1]), (2**24 - 2, [255, 255, 255])])
def test_every_color_but_black_may_be_drawn(drawn, color):
    class Fixed:
        def choice(self, count, size, replace):
            assert drawn < count == 2**24 - 1 and not replace
            return np.array([drawn] * size)

    assert draw_colors(1, Fixed()).tolist() == [color]


def test_colors_cover_the_cube_evenly():
    colors = draw_colors(30_000, np.random.default_rng(3)).astype(float)
    assert np.abs(colors.mean(axis=0) - 127.5).max() < 2
    assert np.abs(colors.std(axis=0) - 73.9).max() < 2


def test_entities_are_painted_by_id():
    rng = np.random.default_rng(4)
    ids = rng.choice(np.array([0, 1, 2, 7, 300], np.uint16), (3, 8, 8))
    colormap, colors = encode_entities(ids, rng)
    assert colormap.shape == (3, 8, 8, 3) and colormap.dtype == colors.dtype == np.uint8
    assert colors.shape == (301, 3)
    np.testing.assert_array_equal(colormap, colors[ids])
    assert not colormap[ids == 0].any()
    assert sorted(np.flatnonzero(colors.any(axis=1))) == [1, 2, 7, 300]
    assert smallest_distance(colors[[1, 2, 7, 300]]) >= 1


def test_the_seed_decides():
    ids = np.arange(16, dtype=np.uint16).reshape(1, 4, 4)
    first, second, other = (encode_entities(ids, np.random.default_rng(seed), 16)[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_an_empty_scene_is_black():
    colormap, colors = encode_entities(np.zeros((2, 4, 4), np.uint16), np.random.default_rng(0))
    assert not colormap.any() and colors.tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("ids", [np.zeros((1, 2, 2)), np.full((1, 2, 2), -1)])
def test_bad_ids_are_refused(ids):
    with pytest.raises(ValueError, match="expected integers >= 0"):
        encode_entities(ids, np.random.default_rng(0))


@pytest.mark.parametrize(("count", "distance"), [(-1, 0), (1 << 24, 0), (3, -2)])
def test_impossible_draws_are_refused(count, distance):
    with pytest.raises(ValueError, match="draw_colors: got count"):
        draw_colors(count, np.random.default_rng(0), distance)


@pytest.mark.parametrize("shape", [(), (7,), (5, 4), (3, 5, 4), (2, 3, 5, 4), (0, 5, 4), (2, 0, 4), (2, 5, 0)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int64"])
def test_clips_of_any_shape_are_painted_pixel_by_pixel(shape, dtype):
    ids = np.random.default_rng(1).integers(0, 9, shape).astype(dtype)
    colormap, colors = encode_entities(ids, np.random.default_rng(2))
    np.testing.assert_array_equal(colormap, colors[ids])
    np.testing.assert_array_equal(np.flatnonzero(colors.any(axis=1)), np.setdiff1d(np.unique(ids), [0]))
