"""What lies just at a limit: entities of the least number of pixels, predictions half on void, overlaps of one half."""

from __future__ import annotations

import math

import numpy as np
import pytest

from udpdiff.measures.id_switches import id_switches
from udpdiff.measures.segmentation import tube_mean_iou, tube_panoptic_quality
from udpdiff.measures.tube_detection import tube_detection

TRUTH = np.array([[[1, 1, 0]], [[1, 1, 0]]])
LABELS = np.array([[[4, 4, 0]], [[5, 5, 0]]])


@pytest.mark.parametrize(("min_pixels", "switches"), [(1, [1]), (2, [1]), (3, None)])
def test_switches_are_counted_in_frames_that_show_so_many(min_pixels, switches):
    found = id_switches(LABELS, TRUTH, min_pixels=min_pixels)
    assert found.frames == ({1: switches} if switches else {})
    assert found.mean == 1 if switches else math.isnan(found.mean)


@pytest.mark.parametrize(("min_pixels", "counts"), [(1, True), (4, True), (5, False)])
def test_tubes_count_with_so_many_in_the_clip(min_pixels, counts):
    labels = np.full_like(TRUTH, 7)  # four of its six pixels are right
    found = tube_detection(labels, TRUTH, min_pixels=min_pixels)
    assert (found.matched, found.spurious, found.missed) == (int(counts), 0, 0)
    iou = tube_mean_iou(labels, TRUTH, min_pixels=min_pixels)
    assert iou.per_entity == ({1: pytest.approx(4 / 6)} if counts else {}) and iou.match == {1: 7}


@pytest.mark.parametrize(("on_void", "spurious"), [(1, 1), (2, 1), (3, 0)])
def test_a_prediction_is_void_where_more_than_half_of_it_is(on_void, spurious):
    truth = np.array([[[9] * on_void + [0] * (6 - on_void) + [1, 1]]])
    predicted = np.array([[[4, 4, 4, 4, 0, 0, 5, 5]]])
    found = tube_panoptic_quality(predicted, truth, void=9)
    assert (found.matched, found.spurious, found.missed) == (1, spurious, 0)


def test_an_overlap_of_just_one_half_is_no_hit():
    truth, predicted = np.array([[[1, 1, 0, 0]]]), np.array([[[3, 0, 0, 0]]])
    quality, hits = tube_panoptic_quality(predicted, truth), tube_detection(predicted, truth)
    assert (quality.matched, quality.spurious, quality.missed) == (0, 1, 1)
    assert (hits.matched, hits.spurious, hits.missed) == (0, 1, 1)
