"""How far drawn colours lie apart at least, with candidates that a test names."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.representations.pixelplanes import draw_colors


class Scripted:
    """A generator whose candidates are named, the same ones every time."""

    def __init__(self, *candidates: tuple[int, int, int]) -> None:
        self.candidates = np.array(candidates, np.int32)

    def integers(self, low, high, size, dtype):
        assert (low, high, size[1]) == (0, 256, 3)
        return np.resize(self.candidates, size).astype(dtype)


@pytest.mark.parametrize(
    ("distance", "candidates", "expected"),
    [
        # From black: the first lies nearer than 2 in space though not on its own axis; the second just at 2.
        (2, [(1, 1, 1), (2, 0, 0)], [(2, 0, 0)]),
        (1.5, [(1, 1, 0), (1, 1, 1)], [(1, 1, 1)]),
        # From each other too, and what is asked for counts from all that were drawn before.
        (
            10,
            [(10, 0, 0), (19, 0, 0), (10, 9, 0), (10, 10, 0), (0, 0, 9), (30, 0, 0)],
            [(10, 0, 0), (10, 10, 0), (30, 0, 0)],
        ),
        # Where there is no room it is lowered by tenths: 20 -> 18.
        (20, [(18, 0, 0)], [(18, 0, 0)]),
        (20, [(17, 0, 0), (0, 18, 0)], [(0, 18, 0)]),
    ],
)
def test_a_colour_fits_at_just_the_distance_and_the_first_that_fits_is_taken(distance, candidates, expected):
    colors = draw_colors(len(expected), Scripted(*candidates), distance)
    assert colors.dtype == np.uint8 and [tuple(color) for color in colors.tolist()] == expected
