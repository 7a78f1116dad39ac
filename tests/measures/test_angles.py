from __future__ import annotations

import numpy as np
import pytest

from udpdiff.measures.angles import angles, angular_error


def turned(degrees):
    """Unit vectors (N, 3) that lie so far from the z axis."""
    turns = np.radians(degrees)
    return np.stack([np.sin(turns), np.zeros_like(turns), np.cos(turns)], -1)


def test_figures_by_hand():
    error = angular_error(turned([0, 11, 12, 22, 23, 29, 31, 180]), turned([0] * 8))
    assert error.mean == pytest.approx(308 / 8) and error.median == pytest.approx(22.5) and error.max == 180
    assert (error.within_11, error.within_22, error.within_30) == (2 / 8, 4 / 8, 6 / 8)


def test_only_valid_pixels_count():
    error = angular_error(turned([0, 90]), turned([0, 0]), valid=np.array([True, False]))
    assert (error.mean, error.within_11) == (0, 1)
    with pytest.raises(ValueError, match="no pixel is valid"):
        angular_error(turned([0]), turned([0]), valid=np.array([False]))
    with pytest.raises(ValueError, match="expected the same"):
        angular_error(turned([0, 1]), turned([0]))


def test_small_angles_are_exact():
    np.testing.assert_allclose(angles(turned([1e-5]), turned([0])), [1e-5], rtol=1e-9)
