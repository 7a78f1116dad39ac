"""What distances and smoothness are made of, by hand or by another library, where one axis or one half hides a fault."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from udpdiff.measures import fvd, vbench


def test_the_kernel_divides_by_the_number_of_features():
    first, second = np.array([[1.0, 1.0], [2.0, 0.0]]), np.array([[0.0, 2.0], [1.0, -1.0]])
    # Products over 2, plus 1, cubed: within the first 8, within the second 0, between 8, 1, 1 and 8.
    assert fvd.kernel_distance(first, second) == pytest.approx(8 + 0 - 2 * (8 + 1 + 1 + 8) / 4)


def test_the_extrapolated_value_has_the_standard_error_of_an_intercept():
    sizes = np.array([4, 4, 5, 6, 8, 10])
    distances = np.array([9.1, 8.7, 7.4, 6.9, 5.6, 5.2])
    line, theirs = fvd.extrapolate(sizes, distances), stats.linregress(1 / sizes, distances)
    assert (line.value, line.slope) == (pytest.approx(theirs.intercept), pytest.approx(theirs.slope))
    assert line.standard_error == pytest.approx(theirs.intercept_stderr)


def test_predictions_lose_their_fraction():
    """A half may go either way; seven tenths show it."""
    assert vbench.truncate_to_uint8(np.array([10.2, 10.5, 11.5, 10.7, -3.0, 255.9])).tolist() == [
        10,
        10,
        11,
        10,
        0,
        255,
    ]
    frames = np.array([0, 11, 23, 40, 42], np.uint8)  # averages 11.5 (cut to 11) and 32.5 (cut to 32)
    video = np.broadcast_to(frames[:, None, None, None], (5, 2, 2, 3))
    smoothness = vbench.motion_smoothness(video, lambda before, after: (before + after) / 2)
    assert smoothness == pytest.approx((255 - (0 + 8) / 2) / 255)
