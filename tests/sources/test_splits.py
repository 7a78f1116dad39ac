"""Splits share no source, depend on names and seed alone, and barely change when sources are added."""

from __future__ import annotations

import pytest

from udpdiff.sources.source_names import source_of
from udpdiff.sources.splits import assign_shards, split_sources

SOURCES = [f"video{number}" for number in range(50)]


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("0WjR6cSMi2A.3.mp4", "0WjR6cSMi2A"),
        ("0WjR6cSMi2A.102.webm", "0WjR6cSMi2A"),
        ("0WjR6cSMi2A.3", "0WjR6cSMi2A"),
        ("-_dot.video.7.mp4", "-_dot.video"),
        ("my trip.mp4", "my trip"),
        ("take2.mp4", "take2"),
        ("a.b.mp4", "a.b"),
        ("7.mp4", "7"),
        (".5.mp4", ".5"),
        ("scene", "scene"),
    ],
)
def test_source_of_file_names(name, source):
    assert source_of(name) == source


def evaluation(split: dict[str, str]) -> set[str]:
    return {source for source, name in split.items() if name == "evaluation"}


def test_number_and_share_of_sources():
    assert len(evaluation(split_sources(SOURCES, 7, seed=1))) == 7
    assert len(evaluation(split_sources(SOURCES, 0.2, seed=1))) == 10
    assert len(evaluation(split_sources(SOURCES[:2], 0.01, seed=1))) == 1
    assert len(evaluation(split_sources(SOURCES[:2], 0.99, seed=1))) == 1
    assert set(split_sources(SOURCES, 7, seed=1)) == set(SOURCES)


def test_depends_on_the_set_of_sources_and_the_seed_alone():
    split = split_sources(SOURCES, 10, seed=1)
    assert split_sources([*reversed(SOURCES), *SOURCES[:9]], 10, seed=1) == split
    assert evaluation(split_sources(SOURCES, 10, seed=2)) != evaluation(split)


def test_a_new_source_moves_at_most_one_other():
    before = evaluation(split_sources(SOURCES, 10, seed=1))
    for number in range(20):
        after = evaluation(split_sources([*SOURCES, f"new{number}"], 10, seed=1))
        assert len(before - after) <= 1


def test_every_source_can_be_chosen():
    chosen = set().union(*(evaluation(split_sources(SOURCES, 10, seed)) for seed in range(60)))
    assert chosen == set(SOURCES)


@pytest.mark.parametrize(("sources", "wanted"), [([], 1), (["a"], 1), (["a"], 0.5), (["a", "b"], 2), (["a", "b"], 0)])
def test_a_split_without_sources_is_refused(sources, wanted):
    with pytest.raises(ValueError, match="both splits need at least one"):
        split_sources(sources, wanted, seed=1)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 1.5])
def test_impossible_shares_are_refused(share):
    with pytest.raises(ValueError, match="share"):
        split_sources(SOURCES, share, seed=1)


def test_shards_hold_every_clip_once_in_order():
    assert assign_shards(list("abcde"), 2) == [["a", "b"], ["c", "d"], ["e"]]
    assert assign_shards([], 2) == []
    with pytest.raises(ValueError, match="shard_clips"):
        assign_shards(["a"], 0)
