"""Prompts on later frames: what enters gets a new id, and only where a frame lost its labels."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.labelling.reprompting import label_entities, new_entities


@pytest.fixture
def truth() -> np.ndarray:
    """Ground 1 and, from frame 2 on, a box 2 that enters from the right and moves left: (6, 8, 8)."""
    ids = np.ones((6, 8, 8), np.uint16)
    for frame_idx in range(2, 6):
        ids[frame_idx, 2:6, 8 - 2 * (frame_idx - 1) :] = 2
    return ids


@pytest.fixture
def video(truth) -> np.ndarray:
    """Frames that tell their number."""
    return np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((6, 8, 8, 3), np.uint8)


class PerfectLabellers:
    """Answer with the truth: a segmenter of any frame, and a tracker of the entities that lie under its prompts."""

    def __init__(self, truth):
        self.truth, self.segmented = truth, []

    def segment(self, frame):
        self.segmented.append(int(frame[0, 0, 0]))
        return self.truth[self.segmented[-1]]

    def track(self, video, prompts):
        truth, tracked = self.truth[video[0, 0, 0, 0] :], np.zeros(video.shape[:3], np.uint16)
        for entity_id in np.unique(prompts[prompts > 0]):
            tracked[truth == np.bincount(truth[0][prompts == entity_id]).argmax()] = entity_id
        return tracked


def test_the_first_frame_alone_by_default(video, truth):
    labellers = PerfectLabellers(truth)
    entity_ids = label_entities(video, labellers.segment, labellers.track)
    np.testing.assert_array_equal(entity_ids, np.where(truth == 1, 1, 0))
    assert labellers.segmented == [0]


def test_what_enters_gets_a_new_id_once_coverage_falls(video, truth):
    labellers = PerfectLabellers(truth)
    entity_ids = label_entities(video, labellers.segment, labellers.track, reprompt_below=0.8)
    # Frame 2 is 8 of 64 pixels short, frame 3 is 16: more than a fifth.
    np.testing.assert_array_equal(entity_ids[:3], np.where(truth == 1, 1, 0)[:3])
    np.testing.assert_array_equal(entity_ids[3:], truth[3:])
    assert labellers.segmented == [0, 3]


def test_labels_once_given_stay(video, truth):
    labellers = PerfectLabellers(truth)

    def track_all_over(video, prompts):
        return np.full(video.shape[:3], prompts.max(), np.uint16)

    once = label_entities(video, labellers.segment, labellers.track)
    again = [labellers.track, track_all_over]
    entity_ids = label_entities(video, labellers.segment, lambda *inputs: again.pop(0)(*inputs), 0.8)
    np.testing.assert_array_equal(entity_ids[once > 0], once[once > 0])
    assert (entity_ids[3:] > 0).all()


def test_an_entity_is_new_where_most_of_it_is_unlabelled():
    found = np.repeat([[1, 2, 3, 0]], 4, axis=0)
    labelled = np.zeros((4, 4), bool)
    labelled[:, 0] = labelled[0, 1] = labelled[:3, 2] = True
    expected = np.zeros((4, 4), int)
    expected[1:, 1] = 9
    np.testing.assert_array_equal(new_entities(found, labelled, 9), expected)
