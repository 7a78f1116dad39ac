"""Distances of many subsets from products made once are those of each subset taken by itself."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.measures import fvd


def features(kind: str, count: int, dimensions: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(count, dimensions)) * np.exp(-np.arange(dimensions) / 9) + rng.normal(size=dimensions) / 4
    if kind == "far from the origin":
        rows += 300
    if kind == "of low rank":
        rows = rows[:, :3] @ rng.normal(size=(3, dimensions))
    if kind == "with empty columns":
        rows[:, ::2] = 0
    return rows


@pytest.mark.parametrize("kind", ["plain", "far from the origin", "of low rank", "with empty columns"])
@pytest.mark.parametrize(("counts", "dimensions"), [((40, 40), 64), ((40, 52), 30), ((90, 40), 25)])
def test_distances_of_rows_are_those_of_the_sets(kind, counts, dimensions):
    first, second = (features(kind, count, dimensions, seed) for seed, count in enumerate(counts))
    pair, rng = fvd.SetPair(first, second), np.random.default_rng(9)
    scale = first.var(0).sum() + second.var(0).sum()
    for share in (0.06, 0.5, 0.5, 0.9, 0.9, 1):  # of equal numbers, the second is not checked against singular values
        rows, others = (rng.permutation(count)[: max(2, int(share * count))] for count in counts)
        plain = fvd.frechet_distance(first[rows], second[others])
        assert pair.frechet_distance(rows, others) == pytest.approx(plain, abs=1e-9 * scale)
        plain = fvd.kernel_distance(first[rows], second[others])
        largest = (np.abs(first @ second.T).max() / dimensions + 1) ** 3
        assert pair.kernel_distance(rows, others) == pytest.approx(plain, rel=1e-9, abs=1e-12 * largest)


@pytest.mark.parametrize("power", [0.75, 2.0])
def test_eigenvalues_serve_where_covariances_are_whole_and_are_as_exact(power):
    """Variances that fall by 4.5 orders of magnitude, or by 8."""
    rng, dimensions = np.random.default_rng(0), 100
    spread, turn = np.arange(1, dimensions + 1) ** -power, np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0]
    first, second = (rng.normal(size=(300, dimensions)) * spread * size @ turn + size for size in (1, 1.1))
    pair = fvd.SetPair(first, second)
    for _ in range(4):
        rows, others = (rng.permutation(300)[:150] for _ in range(2))
        plain = fvd.frechet_distance(first[rows], second[others])
        assert pair.frechet_distance(rows, others) == pytest.approx(plain, rel=1e-10)
    assert pair._graded_serve == {(150, 150): True}


def test_singular_values_serve_where_covariances_are_not_whole():
    first, second = (features("of low rank", 80, 20, seed) for seed in (0, 1))
    pair, rows = fvd.SetPair(first, second), np.arange(60)
    found = [pair.frechet_distance(rows, rows) for _ in range(2)]
    assert found == pytest.approx([fvd.frechet_distance(first[rows], second[rows])] * 2, rel=1e-9)
    assert pair._graded_serve == {(60, 60): False}


def test_a_set_is_at_no_distance_from_itself():
    rows = features("plain", 30, 40, 3)
    everything = np.arange(30)
    assert fvd.SetPair(rows, rows).frechet_distance(everything, everything) == pytest.approx(0, abs=1e-9)


def test_sets_of_other_dimensions_are_refused():
    with pytest.raises(ValueError, match="expected"):
        fvd.SetPair(np.zeros((4, 3)), np.zeros((4, 2)))
