"""95 % intervals over videos: percentile bootstrap for means and paired differences, subsampling for distances.

The bootstrap draws videos with replacement. For a Frechet distance that is invalid: repeated rows shrink the covariance
and the bias grows, so the interval would not even hold the estimate. `draw_subsets` draws without replacement.

Source: Efron and Tibshirani, An Introduction to the Bootstrap; Politis and Romano, Large Sample Confidence Regions
Based on Subsamples under Minimal Assumptions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = (2.5, 97.5)
_NORMAL_QUANTILE = 1.96  # of the same level


@dataclass(frozen=True)
class Estimate:
    """A value with the ends of its 95 % interval, over n videos; the ends are nan when n is too small to tell."""

    value: float
    low: float
    high: float
    n: int


def bootstrap_mean(
    values: Sequence[float], *, weights: Sequence[float] | None = None, resamples: int = 2000, seed: int = 0
) -> Estimate:
    """Mean of per-video values (N,), optionally weighted (N,), with its percentile bootstrap interval.

    With one video the interval is nan: one value says nothing about the spread.
    """
    values = np.asarray(values, np.float64)
    weights = np.ones_like(values) if weights is None else np.asarray(weights, np.float64)
    if values.ndim != 1 or values.shape != weights.shape or not len(values):
        raise ValueError(f"Bootstrap: got values {values.shape}, weights {weights.shape}; expected (N,), N >= 1.")
    if not np.isfinite(values).all():
        raise ValueError("Bootstrap: got values that are not finite; leave such videos out and report how many.")
    value = float(np.average(values, weights=weights))
    if len(values) < 2:
        return Estimate(value, float("nan"), float("nan"), len(values))
    drawn = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    means = (values[drawn] * weights[drawn]).sum(1) / weights[drawn].sum(1)
    return Estimate(value, *(float(end) for end in np.percentile(means, LEVEL)), len(values))


def bootstrap_difference(
    first: Sequence[float], second: Sequence[float], *, resamples: int = 2000, seed: int = 0
) -> Estimate:
    """Mean of first - second, paired by prompt and seed, with its interval; sharper than two separate intervals."""
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.shape != second.shape:
        raise ValueError(f"Paired difference: got {first.shape} and {second.shape} values, expected as many of both.")
    return bootstrap_mean(first - second, resamples=resamples, seed=seed)


def bootstrap_share(
    gains: Sequence[float],
    controls: Sequence[float],
    ceilings: Sequence[float],
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """Mean gain as a share of what there is to gain: mean(gains) / (mean(ceilings) - mean(controls)).

    Gains and controls (N,) are drawn together, video by video, and ceilings (M,), which are of other clips, by
    themselves. The share is nan where there is nothing to gain, and its ends where that is so in any draw.
    """
    gains, controls, ceilings = (np.asarray(values, np.float64) for values in (gains, controls, ceilings))
    room = ceilings.mean() - controls.mean()
    if room <= 0:
        return Estimate(float("nan"), float("nan"), float("nan"), len(gains))
    rng = np.random.default_rng(seed)
    videos = rng.integers(len(gains), size=(resamples, len(gains)))
    clips = rng.integers(len(ceilings), size=(resamples, len(ceilings)))
    rooms = ceilings[clips].mean(1) - controls[videos].mean(1)
    ends = [float("nan")] * 2
    if len(gains) > 1 and (rooms > 0).all():
        ends = np.percentile(gains[videos].mean(1) / rooms, LEVEL)
    return Estimate(float(gains.mean() / room), *(float(end) for end in ends), len(gains))


def bootstrap_median(values: Sequence[float], *, resamples: int = 2000, seed: int = 0) -> Estimate:
    """Median of repeated measurements (N,) with the percentile bootstrap interval of the median."""
    values = np.asarray(values, np.float64)
    drawn = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    low, high = np.percentile(np.median(values[drawn], axis=1), LEVEL)
    return Estimate(float(np.median(values)), float(low), float(high), len(values))


def subset_interval(value: float, subset_values: Sequence[float], *, share: float, n: int) -> Estimate:
    """Return a figure of a whole set with an interval from its values on subsets without replacement.

    The values of subsets are centred on their own mean, because they carry the bias of the smaller sets, and scaled by
    sqrt(b / (n - b)), which turns the spread of subsets of b of n rows into that of fresh samples of n.

    Args:
        value: Of all rows.
        subset_values: Of each subset (S,); the interval is nan without any.
        share: Of the rows, in each subset: b / n.
        n: Rows.
    """
    if not len(subset_values):
        return Estimate(float(value), float("nan"), float("nan"), n)
    spread = np.asarray(subset_values) - np.mean(subset_values)
    low, high = np.percentile(spread * np.sqrt(share / (1 - share)), LEVEL)
    return Estimate(float(value), float(value + low), float(value + high), n)


def subset_error(subset_values: Sequence[float], *, share: float) -> float:
    """Return the standard error of a figure of a whole set, from its values on subsets as above; nan without any."""
    values = np.asarray(subset_values, np.float64)
    return float(values.std(ddof=1) * np.sqrt(share / (1 - share))) if len(values) else float("nan")


def draw_subsets(
    reference_count: int, count: int, *, subsets: int, share: float, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows of the reference and of the features, without replacement: the same ones where both are as many."""
    rng = np.random.default_rng(seed)
    for _ in range(subsets):
        rows = _rows(rng, count, share)
        yield rows if reference_count == count else _rows(rng, reference_count, share), rows


def _rows(rng: np.random.Generator, count: int, share: float) -> np.ndarray:
    return rng.permutation(count)[: max(2, round(share * count))]


def subsample_ratio(
    value: float, base: float, subset_values: Sequence[float], base_values: Sequence[float], *, share: float, n: int
) -> Estimate:
    """Ratio of two distances, and an interval from both on the same subsets without replacement.

    The covariance of both over the subsets, scaled by share / (1 - share), is that of fresh samples of all n rows;
    subsets carry more bias than the whole, and of a covariance that falls out. The interval holds every ratio r for
    which value - r base is within 1.96 of its standard errors of 0 (Fieller), so that it is no narrower for a base
    that is hardly known. It is nan where the base's distance cannot be told from 0 or n is below 8, and so is the
    ratio where that distance is not above 0. Distances that are in one ratio on every subset give that ratio alone.

    Args:
        value: The distance of all rows.
        base: The same, of what it is compared with.
        subset_values: Of each subset (S,).
        base_values: Of the same subsets (S,).
        share: Of the rows, in each subset.
        n: Rows.

    Source: Fieller, Some Problems in Interval Estimation; Politis and Romano, as above.
    """
    nothing = (float("nan"), float("nan"))
    if base <= 0:
        return Estimate(float("nan"), *nothing, n)
    ratio = float(value / base)
    if n < 8:
        return Estimate(ratio, *nothing, n)
    if np.allclose(subset_values, ratio * np.asarray(base_values), rtol=1e-9, atol=0):
        return Estimate(ratio, ratio, ratio, n)
    covariance = np.cov(subset_values, base_values) * share / (1 - share) * _NORMAL_QUANTILE**2
    square = base**2 - covariance[1, 1]
    if square <= 0:
        return Estimate(ratio, *nothing, n)
    middle = (value * base - covariance[0, 1]) / square
    reach = np.sqrt(max(0.0, middle**2 - (value**2 - covariance[0, 0]) / square))
    return Estimate(ratio, float(middle - reach), float(middle + reach), n)
