"""J and F are those of the plain definition, to the twelfth digit, whatever entities do."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.dense_figures import moving_cells
from benchmarks.plain_boundary import plain_j_and_f
from udpdiff.measures.boundary import j_and_f


def noise(seed, ids, frames=3, side=(21, 34)):
    """Ids in blocks of 3 x 2 pixels, some of them none, so that outlines run everywhere and along the edges."""
    blocks = np.random.default_rng(seed).integers(0, ids + 1, (frames, side[0] // 3, side[1] // 2))
    return blocks.repeat(3, 1).repeat(2, 2).astype(np.uint16)


def pairs():
    cells = moving_cells(4, 96, 150, 9)
    yield "cells", *cells[::-1]
    yield "noise", noise(0, 5), noise(1, 4)
    yield "more predicted than true", noise(0, 9), noise(1, 2)
    yield "fewer predicted than true", noise(0, 2), noise(1, 7)
    yield "nothing predicted", np.zeros((3, 21, 34), np.uint16), noise(1, 3)
    come_and_go = [each.copy() for each in cells]
    for each, first in zip(come_and_go, (1, 2), strict=True):
        each[first:][each[first:] == 4] = 0
        each[0][each[0] < first + 2] = 0
    yield "coming and going", *come_and_go
    yield "gone without partner", np.where(come_and_go[1] < 4, 0, 1).astype(np.uint16), come_and_go[0]
    yield "one frame", cells[1][:1], cells[0][:1]
    yield "one pixel wide", cells[1][:, :, :1], cells[0][:, :, :1]
    whole = np.ones((2, 9, 9), np.uint16)
    yield "one entity everywhere", whole, whole
    yield "ids of any kind", cells[1].astype(np.int64) * 10**9, cells[0].astype(np.int64) * 7


CASES = {name: (predicted, truth) for name, predicted, truth in pairs()}


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_the_plain_definition(name):
    predicted, truth = CASES[name]
    found, (j, f) = j_and_f(predicted, truth), plain_j_and_f(predicted, truth)
    assert found.j == pytest.approx(j, abs=1e-12, rel=0)
    assert found.f == pytest.approx(f, abs=1e-12, rel=0)
    assert found.num_entities == len(set(np.unique(truth)) - {0})


def test_void_is_dropped_before_anything_else():
    predicted, truth = CASES["noise"]
    void = noise(7, 1) == 1
    marked = np.where(void, 99, truth)
    found = j_and_f(predicted, marked, void=99)
    j, f = plain_j_and_f(np.where(void, 0, predicted), np.where(void, 0, truth))
    assert (found.j, found.f) == pytest.approx((j, f), abs=1e-12, rel=0)
