"""Depth figures at their limits: which pixels count, what is just within a factor, how a small prediction is enlarged."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.measures.depth import evaluate_depth_maps


def score(prediction, reference, **options):
    return evaluate_depth_maps(np.array([[prediction]]), np.array([[reference]]), alignment="none", **options)


def test_a_factor_of_just_five_quarters_is_not_within():
    assert score([0.5, 0.625, 0.49], [0.4, 0.5, 0.4]).delta1 == pytest.approx(1 / 3)
    assert score([0.4, 0.5, 0.41], [0.5, 0.625, 0.5]).delta1 == pytest.approx(1 / 3)


def test_one_counts_where_the_reference_is_normalised_and_other_limits_do_not():
    """The nearest pixel of a clip is at 1; what lies at the limit of a sensor is nowhere."""
    assert score([0.5, 0.5], [1.0, 0.5]).delta1 == 0.5
    assert score([0.5, 0.5], [2.0, 0.5], max_value=2.0).delta1 == 1
    assert score([0.5, 0.5], [0.001, 0.5]).delta1 == 1
    assert score([0.5, 0.5], [0.1, 0.5], min_value=0.1).delta1 == 1


def test_a_small_prediction_is_enlarged_about_the_centres_of_its_pixels():
    assert score([0.2, 0.8], [0.2, 0.35, 0.65, 0.8]).rmse == pytest.approx(0, abs=1e-7)


def test_errors_are_shares_of_the_reference():
    assert score([0.5, 0.3], [0.4, 0.6]).abs_rel == pytest.approx((0.1 / 0.4 + 0.3 / 0.6) / 2)


def test_distances_are_fitted_as_nearness_and_scored_as_distances():
    """A prediction linear in nearness is perfect, one linear in distance is not."""
    z = np.array([[[1.0, 2.0, 4.0, 10.0]]])
    options = {"domain": "depth", "max_value": 80.0}
    exact = evaluate_depth_maps(0.2 + 0.3 / z, z, **options)
    assert exact.delta1 == 1 and exact.rmse == pytest.approx(0, abs=1e-5)
    np.testing.assert_allclose(exact.aligned, z, rtol=1e-5)
    assert evaluate_depth_maps(1 - z / 20, z, **options).rmse > 0.5
