"""Which clips are kept out of training: some from everywhere, the same whatever else a run does."""

from __future__ import annotations

from itertools import pairwise

from udpdiff.training.data import held_back

NAMES = [f"clip-{number:03d}" for number in range(200)]


def test_clips_are_held_back_from_everywhere_in_the_order_of_names():
    numbers = sorted(int(name[-3:]) for name in held_back(set(NAMES), 20))
    assert len(numbers) == 20
    # Neighbours are often cut from one film: a stretch of names would say nothing about the others.
    assert numbers[0] < 50 and numbers[-1] > 150 and max(after - before for before, after in pairwise(numbers)) < 60


def test_fewer_are_some_of_more_and_never_above_a_tenth():
    assert held_back(set(NAMES), 5) < held_back(set(NAMES), 20) == held_back(set(NAMES), 50)
    assert held_back(set(NAMES[:9]), 5) == set()


def test_a_clip_is_held_back_by_its_own_name():
    """Runs over different clips hold back the same ones first."""
    common, some = held_back(set(NAMES), 20) & set(NAMES[::2]), held_back(set(NAMES[::2]), 10)
    assert common and (common <= some or some <= common)
