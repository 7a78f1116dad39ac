"""Tests of paired differences by hand, Holm's correction, and what several trainings add: known components come back."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from udpdiff.metrics.significance import (
    DRAWS,
    holm,
    least_p,
    normal_test,
    sign_flip_test,
    split_variance,
    two_way_mean,
)


def test_few_pairs_are_tested_by_all_signs():
    """Of 1, 2, 4 the eight sums are 7, 5, 3, 1 and their opposites: 2 of 8 are as far as 7, and 4 of 8 as 5."""
    assert sign_flip_test([1, 2, 4]) == (2 / 8, "sign flips, all")
    assert sign_flip_test([-1, 2, 4])[0] == 4 / 8
    assert sign_flip_test([-1, -2, -4])[0] == 2 / 8
    assert sign_flip_test([1, -1, 0])[0] == 1, "every sum is as far from 0 as 0 is"
    assert sign_flip_test([3.0])[0] == 1 == least_p(1)
    assert sign_flip_test([0.1] * 10)[0] == least_p(10) == 2 / 1024


def test_equal_rows_have_a_p_of_one_however_many():
    for count in (3, 40):
        assert sign_flip_test([0.0] * count)[0] == 1


def test_more_pairs_are_drawn_by_the_seed_and_never_at_zero():
    differences = np.random.default_rng(0).normal(0.5, 1, 40)
    p, name = sign_flip_test(differences, seed=3)
    assert (p, name) == sign_flip_test(differences, seed=3) and name == f"sign flips, {DRAWS} drawn"
    assert p != sign_flip_test(differences, seed=4)[0]
    assert p == pytest.approx(normal_test(differences.mean(), np.sqrt((differences**2).mean() / 40)), abs=0.01)
    assert sign_flip_test(np.ones(40))[0] == 1 / (1 + DRAWS) == least_p(40)


def test_all_signs_and_drawn_ones_agree(monkeypatch):
    differences = np.random.default_rng(1).normal(0.4, 1, 12)
    exact, _ = sign_flip_test(differences)
    monkeypatch.setattr("udpdiff.metrics.significance.EXACT_PAIRS", 1)
    assert sign_flip_test(differences)[0] == pytest.approx(exact, abs=0.02)


def test_the_test_keeps_its_level():
    rng = np.random.default_rng(2)
    found = [sign_flip_test(rng.exponential(size=12) - rng.exponential(size=12))[0] < 0.05 for _ in range(300)]
    assert 0.02 < np.mean(found) < 0.085


def test_holm_by_hand():
    """Sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1: 0.04, 0.06, 0.06, and 0.04 that may not be below 0.06."""
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1, 1]) and holm([0.02]) == [0.02] and holm([]) == []


def drawn(rng, seeds, prompts, sds, mean=0.0):
    seed, prompt, rest = sds
    return (
        mean
        + rng.normal(0, seed, (seeds, 1))
        + rng.normal(0, prompt, (1, prompts))
        + rng.normal(0, rest, (seeds, prompts))
    )


def test_known_components_come_back():
    rng = np.random.default_rng(3)
    found = [split_variance(drawn(rng, 5, 40, (0.5, 2.0, 1.0))) for _ in range(200)]
    assert np.mean([each.seed for each in found]) == pytest.approx(0.25, rel=0.15)
    assert np.mean([each.prompt for each in found]) == pytest.approx(4, rel=0.1)
    assert np.mean([each.rest for each in found]) == pytest.approx(1, rel=0.05)


def test_components_by_hand():
    """Rows 0, 2 and 2, 4 are sums of both effects without a rest: mean squares 4, 4 and 0."""
    found = split_variance(np.array([[0.0, 2.0], [2.0, 4.0]]))
    assert (found.seed, found.prompt, found.rest) == pytest.approx((2, 2, 0))
    turned = split_variance(np.array([[0.0, 2.0], [2.0, 4.0]]).T)
    assert turned == found
    crossed = split_variance(np.array([[1.0, -1.0], [-1.0, 1.0]]))
    assert (crossed.seed, crossed.prompt, crossed.rest) == (0, 0, 4), "no component is below 0"


@pytest.mark.parametrize("sds", [(0.5, 0.5, 0.5), (0.0, 1.0, 0.5), (1.0, 0.1, 0.5)])
def test_the_interval_over_trainings_and_prompts_covers(sds):
    """Intervals over prompts alone would miss the mean of fresh trainings most of the time."""
    rng, hits, naive = np.random.default_rng(4), [], []
    for _ in range(200):
        differences = drawn(rng, 3, 24, sds, mean=1.0)
        estimate, p = two_way_mean(differences)
        hits.append(estimate.low <= 1 <= estimate.high)
        assert (p < 0.05) == (estimate.low > 0 or estimate.high < 0)
        by_prompt = differences[0]
        naive.append(abs(by_prompt.mean() - 1) <= 1.96 * by_prompt.std(ddof=1) / np.sqrt(24))
    assert np.mean(hits) >= 0.93
    if sds[0]:
        assert np.mean(naive) < 0.75


def test_trainings_without_any_difference():
    estimate, p = two_way_mean(np.zeros((3, 8)))
    assert (estimate.value, estimate.low, estimate.high, p) == (0, 0, 0, 1)


def test_the_interval_is_of_both_effects_by_hand():
    """Trainings have the means 2 and 5, prompts 1, 3 and 6.5: mean squares 13.5 and 15.5, and 1.5 of the rest."""
    differences = np.array([[0.0, 2.0, 4.0], [2.0, 4.0, 9.0]])
    parts = split_variance(differences)
    of_seeds, of_prompts, rest = 3 * parts.seed + parts.rest, 2 * parts.prompt + parts.rest, parts.rest
    assert (of_seeds, of_prompts, rest) == pytest.approx((13.5, 15.5, 1.5))
    variance = parts.seed / 2 + parts.prompt / 3 + parts.rest / 6
    freedom = (6 * variance) ** 2 / (of_seeds**2 / 1 + of_prompts**2 / 2 + rest**2 / 2)
    estimate, p = two_way_mean(differences)
    assert estimate.value == 3.5
    assert estimate.high - 3.5 == 3.5 - estimate.low == pytest.approx(t.ppf(0.975, freedom) * np.sqrt(variance))
    assert p == pytest.approx(2 * t.sf(3.5 / np.sqrt(variance), freedom))
