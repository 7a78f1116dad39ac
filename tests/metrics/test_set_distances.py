"""What stands beside a distance: its numbers and dimensions, its floor at these numbers, and the subsets it is paired by."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from udpdiff.measures.fvd import frechet_distance, kernel_distance
from udpdiff.metrics.feature_shards import VideoSet
from udpdiff.metrics.set_distances import SUBSETS, measure_distances


def videos(count, seed, shift=0.0, dimensions=6):
    features = np.random.default_rng(seed).normal(shift, 1, (count, dimensions))
    ids = [f"clip {index:03d}" for index in range(count)]
    return VideoSet(ids, features, [{}] * count, np.full(count, 9), {"video": "a network"}, None)


def in_order(found: VideoSet, order) -> VideoSet:
    return dataclasses.replace(
        found, clip_ids=[found.clip_ids[index] for index in order], features=found.features[order]
    )


def test_the_order_of_clips_does_not_matter():
    real, made = videos(30, 0), videos(20, 1, shift=1)
    shuffled = in_order(made, np.random.default_rng(2).permutation(20))
    turned = in_order(real, np.arange(30)[::-1])
    assert measure_distances(real, made, seed=3) == measure_distances(turned, shuffled, seed=3)


def test_every_distance_says_its_numbers_and_its_floor():
    real, made = videos(40, 0), videos(20, 1, shift=1)
    found = measure_distances(real, made, seed=3)
    distance = found["fvd"]
    assert distance["value"] == pytest.approx(frechet_distance(real.features, made.features))
    assert found["kvd"]["value"] == pytest.approx(kernel_distance(real.features, made.features))
    assert (distance["n"], distance["n_reference"], distance["dimensions"]) == (20, 40, 6)
    assert 0 < distance["floor"] < found["fvd_floor"]["value"], "which is of halves, of 20 and 20"
    halves = measure_distances(real, in_order(real, range(20)), seed=3)
    assert distance["floor"] == halves["fvd"]["floor"], "what was generated does not move it"
    assert found["kvd"]["floor"] == 0 and found["kvd"]["warning"] is None
    assert len(distance["per_subset"]) == len(found["kvd"]["per_subset"]) == SUBSETS
    assert distance["low"] < distance["value"] < distance["high"]
    without_bias = found["fvd_infinity"]
    assert without_bias["floor"] == 0
    assert without_bias["subsets"] == distance["subsets"] and len(without_bias["per_subset"]) == SUBSETS
    assert without_bias["low"] < without_bias["value"] < without_bias["high"] and without_bias["warning"]
    assert len(without_bias["line"]["sizes"]) == len(without_bias["line"]["distances"]) == 32


@pytest.mark.parametrize("dimensions", [8, 60])
def test_the_floor_is_what_equal_sets_are_apart(dimensions, monkeypatch):
    """Fewer videos than dimensions too, where the bias falls more slowly than 1/N."""
    monkeypatch.setattr("udpdiff.metrics.set_distances.SUBSETS", 2)
    apart, floors = [], []
    for seed in range(16):
        real, made = videos(40, 2 * seed, dimensions=dimensions), videos(24, 2 * seed + 1, dimensions=dimensions)
        found = measure_distances(real, made, seed=seed)
        apart.append(found["fvd"]["value"])
        floors.append(found["fvd"]["floor"])
    assert np.mean(floors) == pytest.approx(np.mean(apart), rel=0.12)


def test_a_distance_of_few_videos_is_warned_of():
    few = measure_distances(videos(40, 0), videos(59, 1, shift=3), seed=0)["fvd"]["warning"]
    assert few == "Mostly the bias of small sets: 59 videos are fewer than 10 for each of 6 dimensions."
    near = measure_distances(videos(80, 0), videos(80, 1), seed=0)["fvd"]
    assert near["floor"] > near["value"] / 2 and "without any difference" in near["warning"]
    assert measure_distances(videos(200, 0), videos(200, 1, shift=3), seed=0)["fvd"]["warning"] is None


def test_subsets_are_told_apart_by_clips_and_seed():
    real, made = videos(12, 0), videos(10, 1)
    own = measure_distances(real, made, seed=3)["fvd"]["subsets"]
    assert measure_distances(real, videos(10, 2, shift=1), seed=3)["fvd"]["subsets"] == own, (
        "other videos of these prompts"
    )
    others = [(videos(13, 0), made, 3), (real, videos(11, 1), 3), (real, made, 4)]
    assert all(measure_distances(*each, seed=seed)["fvd"]["subsets"] != own for *each, seed in others)


def test_too_few_videos_have_no_subsets():
    found = measure_distances(videos(9, 0), videos(7, 1), seed=0)
    assert found["fvd"]["per_subset"] == [] and found["fvd"]["low"] is None
    bare = measure_distances(videos(3, 0), videos(3, 1), seed=0)
    assert bare["fvd"]["floor"] is None and set(bare) == {"fvd", "kvd"}
