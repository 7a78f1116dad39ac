from __future__ import annotations

import math

import numpy as np
import pytest

from udpdiff.measures.fvd import frechet_distance
from udpdiff.metrics.bootstrap import (
    bootstrap_difference,
    bootstrap_mean,
    bootstrap_median,
    bootstrap_share,
    draw_subsets,
    subset_interval,
)


def test_interval_of_the_mean_covers_it_about_95_times_in_100():
    rng = np.random.default_rng(0)
    hits = 0
    for index in range(200):
        estimate = bootstrap_mean(rng.exponential(size=40), resamples=400, seed=index)
        hits += estimate.low <= 1 <= estimate.high
    assert 0.86 <= hits / 200 <= 0.99


def test_interval_has_the_width_of_the_standard_error():
    values = np.random.default_rng(1).normal(3, 2, 400)
    estimate = bootstrap_mean(values, resamples=4000)
    assert estimate.value == pytest.approx(values.mean())
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * values.std(ddof=1) / 20, rel=0.1)


def test_weights_count_in_value_and_interval():
    estimate = bootstrap_mean([1.0, 1.0, 0.0], weights=[1, 1, 2])
    assert (estimate.value, estimate.n) == (0.5, 3)
    assert (estimate.low, estimate.high) == (0.0, 1.0)


def test_same_seed_same_interval():
    values = np.random.default_rng(2).normal(size=20)
    assert bootstrap_mean(values, seed=3) == bootstrap_mean(values, seed=3)
    assert bootstrap_mean(values, seed=3) != bootstrap_mean(values, seed=4)


def test_pairs_sharpen_a_difference():
    rng = np.random.default_rng(4)
    base = rng.normal(0, 10, 50)
    better = base + 1 + rng.normal(0, 0.1, 50)
    paired = bootstrap_difference(better, base)
    assert 0.9 < paired.low < paired.value < paired.high < 1.1
    single = bootstrap_mean(better)
    assert single.high - single.low > 20 * (paired.high - paired.low)


def test_one_value_has_no_interval():
    estimate = bootstrap_mean([0.7])
    assert estimate.value == 0.7
    assert math.isnan(estimate.low) and math.isnan(estimate.high)


def over_subsets(distance, reference, features, *, resamples=100, share=0.5):
    """A distance and its interval from subsets."""
    drawn = draw_subsets(len(reference), len(features), subsets=resamples, share=share, seed=0)
    values = [distance(reference[real], features[rows]) for real, rows in drawn]
    return subset_interval(distance(reference, features), values, share=share, n=len(features))


def test_distance_interval_holds_its_own_value_where_a_bootstrap_would_not():
    rng = np.random.default_rng(6)
    reference, features = rng.normal(size=(2, 60, 20))
    estimate = over_subsets(frechet_distance, reference, features)
    assert estimate.low < estimate.value < estimate.high
    redrawn = [
        frechet_distance(reference[rng.integers(60, size=60)], features[rng.integers(60, size=60)]) for _ in range(40)
    ]
    assert np.percentile(redrawn, 2.5) > estimate.value  # the reason for subsets without replacement


def test_distance_interval_is_as_wide_as_fresh_draws_spread():
    rng = np.random.default_rng(7)
    values = [frechet_distance(*rng.normal([0, 0.7], 1, (80, 8, 2)).transpose(2, 0, 1)) for _ in range(150)]
    reference, features = rng.normal([0, 0.7], 1, (80, 8, 2)).transpose(2, 0, 1)
    estimate = over_subsets(frechet_distance, reference, features, resamples=200)
    spread = np.percentile(values, 97.5) - np.percentile(values, 2.5)
    assert 0.6 < (estimate.high - estimate.low) / spread < 1.6


def test_without_subsets_there_is_no_interval():
    estimate = subset_interval(2.0, [], share=0.5, n=5)
    assert (estimate.value, estimate.n) == (2, 5) and math.isnan(estimate.low) and math.isnan(estimate.high)


def test_values_must_be_numbers():
    with pytest.raises(ValueError, match="not finite"):
        bootstrap_mean([1.0, math.nan])
    with pytest.raises(ValueError, match="as many"):
        bootstrap_difference([1.0], [1.0, 2.0])


def test_median_of_timings():
    estimate = bootstrap_median([3.0, 1.0, 2.0, 50.0, 2.5])
    assert estimate.value == 2.5 and estimate.n == 5
    assert 1.0 <= estimate.low <= 2.5 <= estimate.high <= 50.0


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_distance_interval_does_not_depend_on_how_large_the_subsets_are(share):
    """Of a plain mean the spread of fresh samples is known: sigma / sqrt(n), whatever the share."""
    features = np.random.default_rng(9).normal(size=(200, 1))
    estimate = over_subsets(
        lambda reference, generated: generated.mean(), features, features, resamples=4000, share=share
    )
    assert estimate.high - estimate.low == pytest.approx(2 * 1.96 * features.std() / np.sqrt(200), rel=0.1)


def test_a_share_of_the_possible_gain_is_drawn_by_video():
    """Where every gain is the same share of its own room, each draw gives that share, however the controls vary."""
    controls = np.random.default_rng(10).uniform(0.2, 0.6, 30)
    estimate = bootstrap_share(0.5 * (0.9 - controls), controls, [0.9] * 8)
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((0.5, 0.5, 0.5)) and estimate.n == 30
    ceilings = np.random.default_rng(11).uniform(0.8, 1.0, 8)
    wider = bootstrap_share(0.5 * (0.9 - controls), controls, ceilings)
    assert wider.low < wider.value < wider.high, "the ceiling is not known exactly either"


def test_without_room_there_is_no_share_and_with_hardly_any_no_interval():
    assert math.isnan(bootstrap_share([0.1, 0.2], [0.9, 0.9], [0.8, 0.9]).value)
    little = bootstrap_share([0.1, 0.2], [0.2, 0.9], [0.8])
    assert little.value == pytest.approx(0.6) and math.isnan(little.low)
