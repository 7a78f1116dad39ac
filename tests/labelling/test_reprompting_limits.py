"""Re-prompting at its limits: just so much labelled, an entity of which just half is new."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.labelling.reprompting import label_entities, new_entities


@pytest.mark.parametrize(("reprompt_below", "asked"), [(0.75, [0]), (0.76, [0, 2])])
def test_a_frame_with_just_the_share_is_not_asked_again(reprompt_below, asked):
    video = np.zeros((3, 4, 4, 3), np.uint8)
    video[:, 0, 0, 0] = [0, 1, 2]
    shown = []

    def segment(frame):
        shown.append(int(frame[0, 0, 0]))
        return np.ones((4, 4), np.uint16)

    def track(remaining, prompts):
        tracked = np.broadcast_to(prompts, (len(remaining), 4, 4)).copy()
        if len(remaining) == 3:
            tracked[2, 3] = 0  # the last row of the last frame is lost: 12 of 16 pixels are left
        return tracked

    entity_ids = label_entities(video, segment, track, reprompt_below)
    assert shown == asked and (entity_ids[:2] == 1).all()
    assert entity_ids[2, 3].tolist() == [0] * 4  # what is found lies on labels for the most part


def test_an_entity_of_which_just_half_is_unlabelled_is_new():
    found = np.array([[1, 1, 2, 2, 2, 2], [1, 1, 2, 2, 2, 2]], np.uint16)
    labelled = np.array([[1, 0, 1, 1, 1, 0], [1, 0, 1, 1, 0, 0]], bool)
    assert new_entities(found, labelled, 5).tolist() == [[0, 5, 0, 0, 0, 0], [0, 5, 0, 0, 0, 0]]
