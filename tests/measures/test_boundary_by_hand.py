"""J and F by hand: who is paired with whom, what is missing, and both ways of being wrong at the outline."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.measures.boundary import boundary_f, j_and_f


def squares(*places: tuple[int, int, int, int], frames: int = 3, side: int = 24) -> np.ndarray:
    """Ids (T, H, W) of squares of 4 x 4: (id, frame, top, left) each."""
    entity_ids = np.zeros((frames, side, side), np.uint16)
    for entity, frame, top, left in places:
        entity_ids[frame, top : top + 4, left : left + 4] = entity
    return entity_ids


def test_entities_are_paired_once_for_the_clip_by_their_mean_overlap():
    truth = squares((1, 0, 2, 2), (1, 1, 2, 2), (1, 2, 2, 2))
    predicted = squares((7, 0, 2, 2), (8, 1, 2, 2), (8, 2, 2, 2))
    found = j_and_f(predicted, truth)
    assert (found.j, found.f, found.num_entities) == (pytest.approx(2 / 3), pytest.approx(2 / 3), 1)
    assert found.j_and_f == pytest.approx(2 / 3)


def test_an_entity_without_partner_scores_where_it_is_not_seen_alone():
    truth = squares((1, 0, 2, 2), (1, 1, 2, 2), (2, 0, 14, 14), frames=2)
    predicted = squares((5, 0, 2, 2), (5, 1, 2, 2), frames=2)
    found = j_and_f(predicted, truth)
    assert (found.j, found.f, found.num_entities) == ((1 + 0.5) / 2, (1 + 0.5) / 2, 2)
    spurious = j_and_f(squares((5, 0, 2, 2), (5, 1, 2, 2), (6, 0, 2, 14), frames=2), truth)
    assert (spurious.j, spurious.f) == (found.j, found.f)


@pytest.mark.parametrize("turned", [False, True])
def test_outlines_that_are_too_much_and_outlines_that_are_missing_both_cost(turned):
    one, two = squares((1, 0, 2, 2), frames=1) > 0, squares((1, 0, 2, 2), (1, 0, 14, 14), frames=1) > 0
    predicted, truth = (one, two) if turned else (two, one)
    np.testing.assert_allclose(boundary_f(predicted, truth), [2 * 0.5 * 1 / 1.5])


def test_outlines_may_lie_a_little_apart():
    """0.8 percent of the diagonal, rounded up: one pixel here, three at 192 x 320."""
    for height, width, reach in ((24, 24, 1), (192, 320, 3)):
        truth = np.zeros((1, height, width), bool)
        truth[:, :, : width // 2] = True
        for shift in (reach, reach + 1):
            moved = np.zeros_like(truth)
            moved[:, :, : width // 2 + shift] = True
            assert boundary_f(moved, truth)[0] == (1 if shift == reach else 0)


def test_what_is_predicted_on_void_costs_nothing():
    truth = squares((1, 0, 4, 4), frames=1)
    truth[0, 4:8, 8:12] = 99
    predicted = squares((5, 0, 4, 4), (5, 0, 4, 8), frames=1)
    found = j_and_f(predicted, truth, void=99)
    assert (found.j, found.f, found.num_entities) == (1, 1, 1)
