"""What intervals are drawn from: videos with their weights, pairs of videos where there are pairs."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.metrics.bootstrap import bootstrap_mean, draw_subsets, subset_interval


def test_every_draw_is_weighted_as_the_mean_is():
    """One long video outweighs nine short ones in most draws, for it is in two of three."""
    estimate = bootstrap_mean([1.0] + [0.0] * 9, weights=[91] + [1] * 9)
    assert estimate.value == pytest.approx(0.91)
    assert estimate.low == 0 and estimate.high > 0.95


def difference(reference, features):
    return float(features.mean() - reference.mean())


def interval(reference, features):
    drawn = draw_subsets(len(reference), len(features), subsets=100, share=0.5, seed=0)
    values = [difference(reference[real], features[rows]) for real, rows in drawn]
    return subset_interval(difference(reference, features), values, share=0.5, n=len(features))


def test_sets_of_one_size_are_drawn_as_pairs_and_others_apart():
    reference = np.random.default_rng(0).normal(size=(40, 1))
    paired = interval(reference, reference + 1)
    assert (paired.value, paired.low, paired.high) == pytest.approx((1, 1, 1))
    apart = interval(reference[:-1], reference + 1)
    assert apart.high - apart.low > 0.3
