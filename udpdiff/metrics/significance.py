"""Tests of paired differences, their correction over a table, and what several trainings of one run add to them.

With one training of each run a test is over prompts alone: it says whether these weights differ. With several, the
difference of training s on prompt p is taken as d_sp = m + a_s + b_p + e_sp with independent random effects of the
training (seed), of the prompt, and of both together. Mean squares over S trainings and P prompts,

    MS_seed = P sum_s (d_s. - d..)^2 / (S - 1),    MS_prompt = S sum_p (d_.p - d..)^2 / (P - 1),
    MS_rest = sum_sp (d_sp - d_s. - d_.p + d..)^2 / ((S - 1) (P - 1)),

give the components var(a) = (MS_seed - MS_rest) / P, var(b) = (MS_prompt - MS_rest) / S and var(e) = MS_rest, negative
ones set to 0, and the variance of the mean var(a) / S + var(b) / P + var(e) / (S P) = (MS_seed + MS_prompt - MS_rest) /
(S P), whose degrees of freedom are Satterthwaite's.

Source: Good, Permutation, Parametric and Bootstrap Tests of Hypotheses (sign flips); Phipson and Smyth, Permutation
P-values Should Never Be Zero; Holm, A Simple Sequentially Rejective Multiple Test Procedure; Searle, Casella and
McCulloch, Variance Components; Satterthwaite, An Approximate Distribution of Estimates of Variance Components.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from udpdiff.metrics.bootstrap import Estimate

LEVEL = 0.05
TOO_FEW = "too few to tell"  # in place of a verdict, where no outcome could have told
EXACT_PAIRS = 14  # up to 2^14 signs are all tried
DRAWS = 9999
_BLOCK = 1000  # signs in memory at once


@dataclass(frozen=True)
class SplitVariance:
    """Variance of the differences of single videos by where it comes from; see the module."""

    seed: float
    prompt: float
    rest: float


def sign_flip_test(differences: Sequence[float], *, seed: int = 0) -> tuple[float, str]:
    """Return the two-sided p that the mean of paired differences (N,) is 0, and the name of the test.

    Under the null hypothesis the rows of a pair may be exchanged, so every difference may have either sign: p is the
    share of signs whose mean is as far from 0 as the one found. All signs up to 14 pairs, with more 9999 drawn ones and
    the one found. Equal rows have p = 1; p is never below 2 / 2^N.
    """
    differences = np.asarray(differences, np.float64)
    count, found = len(differences), abs(differences.sum())
    least = found - 1e-9 * np.abs(differences).sum()  # sums of the same numbers in another order
    if count <= EXACT_PAIRS:
        # Half of the signs: the others are these turned round.
        signs = np.array(list(itertools.product((-1.0, 1.0), repeat=count - 1)))
        sums = signs @ differences[1:] + differences[0]
        return float((np.abs(sums) >= least).mean()), "sign flips, all"
    rng, beyond = np.random.default_rng(seed), 0
    for start in range(0, DRAWS, _BLOCK):
        signs = rng.integers(0, 2, (min(_BLOCK, DRAWS - start), count), dtype=np.int8)
        beyond += int((np.abs(signs @ (2 * differences) - differences.sum()) >= least).sum())
    return (1 + beyond) / (1 + DRAWS), f"sign flips, {DRAWS} drawn"


def least_p(count: int) -> float:
    """Return the smallest p that `sign_flip_test` can give for so many pairs."""
    return 2 / 2**count if count <= EXACT_PAIRS else 1 / (1 + DRAWS)


def normal_test(value: float, standard_error: float) -> float:
    """Return the two-sided p that a normal value with this standard error has mean 0; 1 for 0 with error 0."""
    if not value:
        return 1.0
    return math.erfc(abs(value) / standard_error / math.sqrt(2)) if standard_error else 0.0


def holm(ps: Sequence[float]) -> list[float]:
    """Return Holm's corrected p of every test of a family: at or below a level, the family's errors keep to it.

    The k-th smallest of m is multiplied by m - k + 1; none is below one before it, and none above 1.
    """
    corrected, largest = [0.0] * len(ps), 0.0
    for rank, index in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[index]))
        corrected[index] = largest
    return corrected


def at_best(least: Sequence[float]) -> list[float]:
    """Return the smallest p after Holm's correction that each test of a family can reach, of the smallest before it.

    Corrected values never fall where one before correction rises, so all are smallest together. At `LEVEL` or above, a
    test can only ever say "no difference shown", which is no finding: there are too few pairs to tell.
    """
    return holm(least)


def split_variance(differences: np.ndarray) -> SplitVariance:
    """Return the components of differences (S, P), S and P at least 2: of the training, of the prompt, and the rest."""
    of_seeds, of_prompts, rest = _mean_squares(differences)
    seeds, prompts = differences.shape
    return SplitVariance(max(0.0, (of_seeds - rest) / prompts), max(0.0, (of_prompts - rest) / seeds), rest)


def two_way_mean(differences: np.ndarray) -> tuple[Estimate, float]:
    """Return the mean of differences (S, P) over trainings and prompts with its 95 % interval, and p that it is 0.

    S and P are at least 2. Both are by Student's t: with two or three trainings the interval is wide, as it must be.
    """
    from scipy.stats import t

    of_seeds, of_prompts, rest = _mean_squares(differences)
    seeds, prompts = differences.shape
    largest = max(of_seeds, of_prompts, rest)
    # Not below that of the larger effect alone, where chance made the rest the largest.
    variance = max(of_seeds + of_prompts - rest, largest) / (seeds * prompts)
    mean = float(differences.mean())
    if not variance:
        return Estimate(mean, mean, mean, prompts), 0.0 if mean else 1.0
    squares = ((of_seeds, seeds - 1), (of_prompts, prompts - 1), (rest, (seeds - 1) * (prompts - 1)))
    freedom = (variance * seeds * prompts) ** 2 / sum(square**2 / own for square, own in squares)
    error = math.sqrt(variance)
    reach = float(t.ppf(1 - LEVEL / 2, freedom)) * error
    return Estimate(mean, mean - reach, mean + reach, prompts), float(2 * t.sf(abs(mean) / error, freedom))


def _mean_squares(differences: np.ndarray) -> tuple[float, float, float]:
    differences = np.asarray(differences, np.float64)
    seeds, prompts = differences.shape
    mean, by_seed, by_prompt = differences.mean(), differences.mean(1), differences.mean(0)
    rest = differences - by_seed[:, None] - by_prompt + mean
    return (
        float(prompts * ((by_seed - mean) ** 2).sum() / (seeds - 1)),
        float(seeds * ((by_prompt - mean) ** 2).sum() / (prompts - 1)),
        float((rest**2).sum() / ((seeds - 1) * (prompts - 1))),
    )
