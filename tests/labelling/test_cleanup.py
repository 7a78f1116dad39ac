"""Entity clean-up: overlap, specks, holes, coverage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from udpdiff.labelling.cleanup import CleanupSettings, clean_entities, component_sizes, resolve_overlap

TEN_PIXELS = CleanupSettings(min_component_share=10 / (32 * 32))


def frame_with(*patches: tuple[int, slice, slice], fill: int = 0) -> np.ndarray:
    entity_ids = np.full((1, 32, 32), fill, np.uint16)
    for entity_id, rows, columns in patches:
        entity_ids[0, rows, columns] = entity_id
    return entity_ids


def test_overlap_goes_to_the_largest_positive_logit():
    logits = np.full((2, 1, 4, 4), -1.0, np.float32)
    logits[0, :, :, :3] = 2.0
    logits[1, :, :, 2:3] = 3.0
    expected = np.array([[[7, 7, 9, 0]] * 4], np.uint16)
    np.testing.assert_array_equal(resolve_overlap(logits, [7, 9]), expected)


def test_ids_beyond_255_survive():
    logits = np.ones((1, 1, 32, 32), np.float32)
    assert (clean_entities(logits, [40_000])[0] == 40_000).all()


def test_speck_takes_the_label_around_it_and_large_component_stays():
    speck = (5, slice(10, 13), slice(10, 13))
    block = (6, slice(20, 24), slice(20, 24))
    cleaned, coverage = clean_entities(frame_with(speck, block, fill=3), settings=TEN_PIXELS)
    np.testing.assert_array_equal(cleaned, frame_with(block, fill=3))
    assert coverage.tolist() == [1.0]


def test_hole_is_filled_and_large_gap_stays_unlabelled():
    hole = (0, slice(5, 8), slice(5, 8))
    gap = (0, slice(20, 32), slice(20, 32))
    cleaned, coverage = clean_entities(frame_with(hole, gap, fill=2), settings=TEN_PIXELS)
    np.testing.assert_array_equal(cleaned, frame_with(gap, fill=2))
    assert coverage == pytest.approx([1 - 144 / 1024])


def test_speck_inside_a_large_gap_becomes_unlabelled():
    speck = (5, slice(20, 22), slice(20, 22))
    cleaned, _ = clean_entities(frame_with(speck, (4, slice(0, 32), slice(0, 10))), settings=TEN_PIXELS)
    np.testing.assert_array_equal(cleaned, frame_with((4, slice(0, 32), slice(0, 10))))


def test_a_component_of_just_the_share_stays():
    """Ten pixels are needed: specks and holes of ten stay, of nine go."""
    blocks = [(5, slice(2, 4), slice(2, 7)), (6, slice(10, 13), slice(2, 5)), (0, slice(20, 22), slice(2, 7))]
    holes = [(0, slice(20, 23), slice(12, 15))]
    cleaned, _ = clean_entities(frame_with(*blocks, *holes, fill=3), settings=TEN_PIXELS)
    np.testing.assert_array_equal(cleaned, frame_with(blocks[0], blocks[2], fill=3))


def test_a_speck_beside_a_hole_makes_it_larger():
    """Six unlabelled pixels and a speck of six: twelve in one piece, too many to fill."""
    hole, speck = (0, slice(5, 8), slice(5, 7)), (4, slice(5, 8), slice(7, 9))
    cleaned, _ = clean_entities(frame_with(hole, speck, fill=2), settings=TEN_PIXELS)
    np.testing.assert_array_equal(cleaned, frame_with((0, slice(5, 8), slice(5, 9)), fill=2))


def test_small_gap_between_two_entities_takes_the_nearer_one():
    left, right = (1, slice(0, 32), slice(0, 15)), (2, slice(0, 32), slice(18, 32))
    entity_ids = frame_with(left, right, fill=1)
    entity_ids[0, 10:13, 15:18] = 0
    entity_ids[0, :, 18:] = 2
    cleaned, _ = clean_entities(entity_ids, settings=TEN_PIXELS)
    assert cleaned[0, 11, 15] == 1
    assert cleaned[0, 11, 17] == 2


def test_frames_are_cleaned_on_their_own():
    """A patch that is one component in time but small on each frame is removed."""
    entity_ids = np.concatenate([frame_with((5, slice(3, 6), slice(3, 6)), fill=1)] * 4)
    assert (clean_entities(entity_ids, settings=TEN_PIXELS)[0] == 1).all()


def test_component_sizes_agree_with_labelling_each_id():
    rng = np.random.default_rng(0)
    frame = ndimage.zoom(rng.integers(0, 4, (8, 8)), 5, order=0)
    flips = rng.random(frame.shape) < 0.1
    frame[flips] = rng.integers(0, 4, flips.sum())
    expected = np.zeros(frame.shape, int)
    for entity_id in range(4):
        components, _ = ndimage.label(frame == entity_id)
        sizes = np.bincount(components.ravel())
        expected[frame == entity_id] = sizes[components[frame == entity_id]]
    np.testing.assert_array_equal(component_sizes(frame), expected)


def test_cleaning_twice_changes_nothing_and_leaves_the_input_alone():
    rng = np.random.default_rng(1)
    entity_ids = rng.integers(0, 3, (3, 32, 32)).astype(np.uint16)
    before = entity_ids.copy()
    once, _ = clean_entities(entity_ids, settings=TEN_PIXELS)
    np.testing.assert_array_equal(clean_entities(once, settings=TEN_PIXELS)[0], once)
    np.testing.assert_array_equal(entity_ids, before)


def test_frame_without_entities_stays_empty():
    cleaned, coverage = clean_entities(np.full((2, 2, 8, 8), -3.0, np.float32), [1, 2])
    assert not cleaned.any()
    assert coverage.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("shape, ids", [((2, 1, 4, 4), None), ((2, 1, 4, 4), [1]), ((1, 4, 4), [1])])
def test_logits_without_matching_ids_are_refused(shape, ids):
    with pytest.raises(ValueError, match="Expected"):
        clean_entities(np.zeros(shape, np.float32), ids)


def test_share_outside_its_range_is_refused():
    with pytest.raises(ValueError, match="share of the frame"):
        CleanupSettings(min_component_share=4)
