"""Frechet distance between two sets of video features, its bias-corrected forms, and the kernel distance.

Knows features (N, D) only. All arithmetic is float64. The plug-in distance of two samples of one distribution is not 0
but about proportional to 1/N, so it may only be compared at equal N, extractor and reference; `split_floor` shows how
large it is between real and real, `fvd_infinity` extrapolates it away, and `kernel_distance` has no such bias.

Source: Unterthiner et al., Towards Accurate Generative Models of Video (FVD); Binkowski et al., Demystifying MMD GANs
(kernel distance); Chong and Forsyth, Effectively Unbiased FID and Inception Score (FID-infinity).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

_GRADED_GAP = 1e-11  # of a distance by eigenvalues and by singular values, as a share of it


def frechet_distance(first: np.ndarray, second: np.ndarray, *, ddof: int = 1) -> float:
    """``|m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr((S1 S2)^(1/2))`` of features (N1, D) and (N2, D).

    ddof 1 divides covariances by N-1, 0 by N. May be below 0 by rounding for identical sets.
    """
    first, second = _checked(first, second)
    return moments(first, ddof=ddof).distance(moments(second, ddof=ddof))


@dataclass(frozen=True)
class Moments:
    """What a Frechet distance needs of a set, made once for distances to several others.

    Attributes:
        mean: float64 (D,).
        factor: float64 (R, D), R <= D; factor^T factor is the covariance.
    """

    mean: np.ndarray
    factor: np.ndarray

    def distance(self, other: Moments) -> float:
        """Return the Frechet distance.

        The trace of the root is the nuclear norm of A B^T, where A and B are the factors: no covariance is formed,
        nothing is squared, and features of lower rank than D need no special care.
        """
        gap = self.mean - other.mean
        singular = np.linalg.svd(self.factor @ other.factor.T, compute_uv=False)
        return float(gap @ gap + (self.factor**2).sum() + (other.factor**2).sum() - 2 * singular.sum())


def moments(features: np.ndarray, *, ddof: int = 1) -> Moments:
    """Return the moments of features (N, D), N >= 2."""
    features = np.asarray(features, np.float64)
    mean = features.mean(0)
    centred = (features - mean) / np.sqrt(len(features) - ddof)
    # The triangular factor R of QR has the same products with other matrices but at most D rows.
    return Moments(mean, np.linalg.qr(centred, mode="r") if len(centred) > centred.shape[1] else centred)


def kernel_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Unbiased squared maximum mean discrepancy with kernel (x.y / D + 1)^3; may be below 0. Named KVD for videos."""
    first, second = _checked(first, second)

    def kernel(left, right):
        return (left @ right.T / first.shape[1] + 1) ** 3

    def off_diagonal_mean(features):
        gram, count = kernel(features, features), len(features)
        return (gram.sum() - np.trace(gram)) / (count * (count - 1))

    return float(off_diagonal_mean(first) + off_diagonal_mean(second) - 2 * kernel(first, second).mean())


class SetPair:
    """Two sets, for distances between many subsets of both: products of their rows are made once.

    Distances are those of `frechet_distance` and `kernel_distance` of the chosen rows, but for rounding: within 1e-9 of
    themselves, and where covariances are singular as exactly as singular values are.

    Of more rows than dimensions the root's trace is a sum of roots of eigenvalues, at half the time of singular values.
    That squares the covariances, and would lose half of the digits of small directions, were they not in principal axes
    of both sets, largest first: of a matrix that is graded so, LAPACK finds small eigenvalues to their own digits when it
    begins at the large end, as it does with the lower half. For each pair of numbers of rows the first distance is
    checked against singular values; where they differ by more than 1e-11, all are taken from these.

    Source: Demmel and Veselic, Jacobi's Method is More Accurate than QR (graded matrices); Martin, Reinsch and Wilkinson,
    Householder's Tridiagonalization of a Symmetric Matrix (at which end to begin).

    Args:
        first: Features (N1, D).
        second: Features (N2, D).
    """

    def __init__(self, first: np.ndarray, second: np.ndarray) -> None:
        first, second = _checked(first, second)
        self._sets, self._dimensions = (first, second), first.shape[1]
        # Frechet distances do not change when both sets move alike, and means near 0 keep sums of squares exact.
        center = (first.mean(0) + second.mean(0)) / 2
        self._centred = first - center, second - center
        self._squares = [np.einsum("nd,nd->n", each, each) for each in self._centred]
        self._graded_serve: dict[tuple[int, int], bool] = {}  # by numbers of rows

    @cached_property
    def _products(self) -> np.ndarray:
        return self._centred[0] @ self._centred[1].T

    @cached_property
    def _graded(self) -> tuple[np.ndarray, np.ndarray]:
        """Both sets along their common principal axes, that of the largest variance first."""
        moment = sum(each.T @ each for each in self._centred)
        axes = np.linalg.eigh(moment)[1][:, ::-1]
        return tuple(each @ axes for each in self._centred)

    @cached_property
    def _kernels(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        first, second = self._sets
        pairs = ((first, first), (second, second), (first, second))
        return tuple((left @ right.T / self._dimensions + 1) ** 3 for left, right in pairs)

    def frechet_distance(self, rows: np.ndarray, others: np.ndarray) -> float:
        """Return the Frechet distance between rows (n,) of the first set and rows (m,) of the second, n and m >= 2."""
        if max(len(rows), len(others)) > self._dimensions:  # covariances are smaller than products of rows
            return self._covariance_distance(rows, others)
        chosen, counts = (rows, others), (len(rows), len(others))
        means = [each[taken].mean(0) for each, taken in zip(self._centred, chosen, strict=True)]
        traces = [
            (squares[taken].sum() - count * (mean @ mean)) / (count - 1)
            for squares, taken, count, mean in zip(self._squares, chosen, counts, means, strict=True)
        ]
        products = self._products[np.ix_(rows, others)]
        products -= products.mean(axis=0)
        products -= products.mean(axis=1, keepdims=True)
        root = np.linalg.svd(products, compute_uv=False).sum() / np.sqrt((counts[0] - 1) * (counts[1] - 1))
        gap = means[0] - means[1]
        return float(gap @ gap + sum(traces) - 2 * root)

    def _covariance_distance(self, rows: np.ndarray, others: np.ndarray) -> float:
        counts = len(rows), len(others)
        serve = self._graded_serve.get(counts, min(counts) > self._dimensions)
        fast = self._graded_distance(rows, others) if serve else math.nan
        if counts in self._graded_serve and not math.isnan(fast):
            return fast
        exact = moments(self._centred[0][rows]).distance(moments(self._centred[1][others]))
        self._graded_serve[counts] = abs(fast - exact) <= _GRADED_GAP * abs(exact)
        return exact

    def _graded_distance(self, rows: np.ndarray, others: np.ndarray) -> float:
        """Return the distance from eigenvalues; nan where a covariance is singular."""
        means, covariances = [], []
        for each, taken in zip(self._graded, (rows, others), strict=True):
            chosen = each[taken]
            means.append(chosen.mean(0))
            chosen -= means[-1]
            covariances.append(chosen.T @ chosen / (len(taken) - 1))
        try:
            factor = np.linalg.cholesky(covariances[0])
        except np.linalg.LinAlgError:
            return math.nan
        squares = np.linalg.eigvalsh(factor.T @ covariances[1] @ factor, UPLO="L")
        root = np.sqrt(np.maximum(squares, 0)).sum()
        gap = means[0] - means[1]
        return float(gap @ gap + np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * root)

    def extrapolated_distance(self, rows: np.ndarray, others: np.ndarray, whole: float) -> float:
        """Return the Frechet distance of chosen rows taken on to endless samples, from themselves and their two halves.

        The halves leave no row out, so that of what single rows do to a distance nothing is lost or counted twice: the
        spread over subsets is that of any line through distances by size, without the chance of drawing its points.

        Args:
            rows: Of the first set, (n,), n >= 4, in any order.
            others: Of the second, likewise.
            whole: Their Frechet distance.
        """
        parts = [(each[: len(each) // 2], each[len(each) // 2 : len(each) // 2 * 2]) for each in (rows, others)]
        return 2 * whole - float(np.mean([self.frechet_distance(*part) for part in zip(*parts, strict=True)]))

    def kernel_distance(self, rows: np.ndarray, others: np.ndarray) -> float:
        """Return the kernel distance between the same."""
        chosen = [np.zeros(len(each)) for each in self._sets]
        chosen[0][rows], chosen[1][others] = 1, 1
        within = [
            (some @ (kernel @ some) - np.diagonal(kernel) @ some) / (some.sum() * (some.sum() - 1))
            for kernel, some in zip(self._kernels, chosen, strict=False)
        ]
        across = chosen[0] @ (self._kernels[2] @ chosen[1]) / (len(rows) * len(others))
        return float(sum(within) - 2 * across)


@dataclass(frozen=True)
class Extrapolation:
    """Line FD = value + slope / n through subset distances: value is FVD-infinity, with its standard error."""

    value: float
    slope: float
    standard_error: float


def fvd_infinity(
    first: np.ndarray, second: np.ndarray, rng: np.random.Generator, *, num_sizes: int = 8, repeats: int = 4
) -> Extrapolation:
    """Frechet distance extrapolated to endless samples, by the line through `distances_by_size`."""
    return extrapolate(*distances_by_size(first, second, rng, num_sizes=num_sizes, repeats=repeats))


def distances_by_size(
    first: np.ndarray, second: np.ndarray, rng: np.random.Generator, *, num_sizes: int = 8, repeats: int = 4
) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers n (P,) and Frechet distances (P,) of subsets of n rows, without replacement, of both sets.

    n runs from two fifths of the smaller set to all of it. Both sets must shrink: with a fixed reference, the bias of
    the reference would stay.
    """
    first, second = _checked(first, second)
    most = min(len(first), len(second))
    least = max(2, int(np.ceil(0.4 * most)))
    if most - least < 2:
        raise ValueError(f"FVD-infinity: got {most} videos in the smaller set, expected at least 6 to fit a line.")
    sizes = np.unique(np.linspace(least, most, num_sizes).round().astype(int)).repeat(repeats)
    pair, whole, distances = SetPair(first, second), None, []
    for size in sizes:
        rows = _subset(first, size, rng), _subset(second, size, rng)
        if size == len(first) == len(second):  # the same sets in every order
            whole = pair.frechet_distance(*rows) if whole is None else whole
        distances.append(whole if size == len(first) == len(second) else pair.frechet_distance(*rows))
    return sizes, np.array(distances)


def extrapolate(sizes: np.ndarray, distances: np.ndarray) -> Extrapolation:
    """Ordinary least squares of distances (P,) on 1 / sizes (P,)."""
    inverse = 1 / np.asarray(sizes, np.float64)
    design = np.stack([np.ones_like(inverse), inverse], 1)
    (value, slope), *_ = np.linalg.lstsq(design, np.asarray(distances, np.float64), rcond=None)
    rest = distances - design @ (value, slope)
    variance = rest @ rest / max(1, len(inverse) - 2) * np.linalg.inv(design.T @ design)[0, 0]
    return Extrapolation(float(value), float(slope), float(np.sqrt(variance)))


def split_floor(features: np.ndarray, rng: np.random.Generator, *, repeats: int = 8) -> float:
    """Mean Frechet distance between random halves of one set: what real against real scores at N/2.

    It lies about twice as high as real against real at N, since the bias goes with 1/N.
    """
    features = np.asarray(features, np.float64)
    half = len(features) // 2
    if half < 2:
        raise ValueError(f"Split floor: got {len(features)} videos, expected at least 4.")
    values, pair = [], SetPair(features, features)
    for _ in range(repeats):
        order = rng.permutation(len(features))
        values.append(pair.frechet_distance(order[:half], order[half : 2 * half]))
    return float(np.mean(values))


def _subset(features, size, rng):
    return rng.permutation(len(features))[:size]


def _checked(first, second):
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ValueError(f"Features: got {first.shape} and {second.shape}, expected (N1, D) and (N2, D).")
    if min(len(first), len(second)) < 2:
        raise ValueError(f"Features: got {len(first)} and {len(second)} videos, expected at least 2 each.")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("Features: got values that are not finite; check the extractor and its input range.")
    return first, second
