from __future__ import annotations

import numpy as np
import pytest

from udpdiff.measures.boundary import boundary_f, j_and_f
from udpdiff.measures.segmentation import tube_mean_iou, tube_panoptic_quality

CASES = [
    "relabelled_perfect",
    "jitter",
    "id_swap",
    "missing",
    "extra",
    "enter_exit",
    "void_255",
    "merged_few_pred",
    "split_fragments",
    "combined_small",
    "empty_pred",
]


def _case(golden, name):
    case = golden.json("segmentation")["cases"][name]
    data = golden.tensors("segmentation", f"{name}.safetensors")
    return case, data["pred"], data["gt"], 255 if case["has_void"] else None


@pytest.mark.parametrize("name", CASES)
def test_tube_iou_and_panoptic_quality_equal_the_reference(golden, name):
    case, predicted, truth, void = _case(golden, name)
    iou = tube_mean_iou(predicted, truth, void=void)
    assert iou.mean == pytest.approx(case["tube_mean_iou"]["mean_entities"], abs=1e-6)
    assert iou.per_entity == pytest.approx(
        {int(k): v for k, v in case["tube_mean_iou"]["per_gt_entity"].items()}, abs=1e-6
    )
    result, reference = tube_panoptic_quality(predicted, truth, void), case["tube_pq"]["thing"]
    assert (result.quality, result.segmentation, result.recognition) == pytest.approx(
        (reference["PQ"], reference["SQ"], reference["RQ"]), abs=1e-6
    )


@pytest.mark.parametrize("name", CASES)
def test_j_and_f_equal_the_reference(golden, name):
    case, predicted, truth, void = _case(golden, name)
    result, reference = j_and_f(predicted, truth, void=void), case["trackeval"]
    assert (result.j, result.f) == pytest.approx((reference["J-Mean"], reference["F-Mean"]), abs=1e-10)
    assert result.num_entities == reference["num_gt_tracks"]


def _halves(first, second):
    """Two frames of 4 x 4; the left half holds the first id of each pair, the right half the second."""
    ids = np.zeros((2, 4, 4), np.uint16)
    for frame, pair in enumerate((first, second)):
        ids[frame, :, :2], ids[frame, :, 2:] = pair
    return ids


def test_renamed_entities_are_the_same():
    truth, renamed = _halves((1, 2), (1, 2)), _halves((9, 4), (9, 4))
    assert tube_mean_iou(renamed, truth).mean == 1
    assert tube_panoptic_quality(renamed, truth).quality == 1
    assert j_and_f(renamed, truth).j_and_f == 1


def test_a_swap_of_ids_is_seen_by_tubes():
    truth, swapped = _halves((1, 2), (1, 2)), _halves((1, 2), (2, 1))
    assert tube_mean_iou(swapped, truth).mean == pytest.approx(1 / 3)
    assert tube_panoptic_quality(swapped, truth).quality == 0


def test_panoptic_quality_by_hand():
    truth, predicted = _halves((1, 2), (1, 2)), _halves((5, 6), (5, 6))
    predicted[:, :, 2] = 7  # half of entity 2 each for 6 and 7: an IoU of exactly one half is no match
    result = tube_panoptic_quality(predicted, truth)
    assert (result.matched, result.spurious, result.missed) == (1, 2, 1)
    assert result.quality == pytest.approx(1 / (1 + 2 / 2 + 1 / 2))
    predicted[0, 0, 2] = 6
    result = tube_panoptic_quality(predicted, truth)
    assert (result.matched, result.spurious, result.missed) == (2, 1, 0)
    assert result.segmentation == pytest.approx((1 + 9 / 16) / 2)


def test_a_prediction_that_lies_mostly_on_void_is_not_spurious():
    truth, predicted = _halves((1, 255), (1, 255)), _halves((1, 9), (1, 9))
    predicted[:, 0, 1] = 9  # 2 of its 18 pixels are off void
    assert tube_panoptic_quality(predicted, truth, 255).spurious == 0
    truth[:, 1:, 2:] = 0  # now 14 are
    assert tube_panoptic_quality(predicted, truth, 255).spurious == 1


def test_small_entities_are_left_out_of_the_mean():
    truth = _halves((1, 2), (1, 2))
    truth[0, 0, 0] = 3
    predicted = _halves((1, 2), (1, 2))
    assert tube_mean_iou(predicted, truth).mean == pytest.approx((15 / 16 + 1 + 0) / 3)
    assert tube_mean_iou(predicted, truth, min_pixels=12).mean == pytest.approx((15 / 16 + 1) / 2)


def test_nothing_to_find_is_not_a_number():
    empty = np.zeros((1, 2, 2), np.uint16)
    assert np.isnan(tube_mean_iou(empty, empty).mean)
    assert j_and_f(empty, empty).num_entities == 0


def test_boundary_within_tolerance():
    truth = np.zeros((1, 40, 40), bool)
    truth[:, 10:20, 10:20] = True
    assert boundary_f(np.roll(truth, 1, 2), truth)[0] == 1  # one pixel is within the disk of radius 1
    assert boundary_f(np.roll(truth, 4, 2), truth)[0] < 0.7
    assert boundary_f(np.zeros_like(truth), truth)[0] == 0


def test_shapes_and_types_are_checked():
    with pytest.raises(ValueError, match="same for both"):
        tube_mean_iou(np.zeros((1, 2, 2), int), np.zeros((1, 2, 3), int))
    with pytest.raises(ValueError, match="integers"):
        tube_mean_iou(np.zeros((1, 2, 2)), np.zeros((1, 2, 2), int))
