"""The colours that a colormap was painted with: when two are one, and how one is followed through the frames."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.representations.color_modes import FlatPixels, find_modes, frame_centers
from udpdiff.representations.entity_decoding import decode_entities


def pixels(*groups: tuple[tuple[float, float, float], int, int]) -> FlatPixels:
    """Flat pixels from (colour, frame, how many)."""
    colors = np.concatenate([np.tile(np.float32(color), (count, 1)) for color, _, count in groups])
    frames = np.concatenate([np.full(count, frame, np.intp) for _, frame, count in groups])
    return FlatPixels(colors, np.ones(len(colors), np.float32), frames)


@pytest.mark.parametrize(("merge_distance", "expected"), [(20, 1), (30, 1), (19, 2)])
def test_modes_within_the_distance_are_one_the_more_frequent(merge_distance, expected):
    found = find_modes(pixels(((100, 100, 100), 0, 50), ((120, 100, 100), 0, 80)), 8, 3e-4, merge_distance)
    np.testing.assert_allclose(found, [[120, 100, 100], [100, 100, 100]][:expected], atol=0.1)


def test_a_colour_in_a_frame_is_drawn_to_its_mean_where_the_frame_shows_little_of_it():
    shown = pixels(((100, 0, 0), 0, 30), ((130, 0, 0), 1, 10), ((0, 200, 0), 0, 5))
    labels = np.repeat([0, 1], [40, 5])
    centers = np.float32([[110, 0, 0], [0, 190, 0], [7, 7, 7]])
    tracks = frame_centers(shown, labels, centers, prior_weight=20, num_frames=3)
    assert tracks.shape == (3, 3, 3)
    mean = (30 * 100 + 10 * 130) / 40
    reds = [(30 * 100 + 20 * mean) / 50, (10 * 130 + 20 * mean) / 30, mean]  # of the third frame nothing is known
    np.testing.assert_allclose(tracks[0, :, 0], reds, rtol=1e-5)
    np.testing.assert_allclose(tracks[1], [[0, 200, 0]] * 3, rtol=1e-5)
    np.testing.assert_allclose(tracks[2], [[7, 7, 7]] * 3, rtol=1e-5)  # never seen: where it was


def test_pixels_far_from_every_colour_take_the_nearest_of_all():
    """Nothing around them is sure of its colour, so no vote says which colours may be there."""
    palette = np.uint8([[200, 40, 40], [40, 40, 200]])
    colormap = np.empty((1, 36, 60, 3), np.uint8)
    colormap[:] = palette[0]
    # Two blues about the one that is known, 50 steps from it either way.
    colormap[:, 12:24, 12:30], colormap[:, 12:24, 30:48] = [40, 40, 150], [40, 40, 250]
    ids = decode_entities(colormap, palette=palette)
    assert (ids[0, 15:21, 15:45] == 2).all() and (ids[0, :10] == 1).all()
