from __future__ import annotations

import numpy as np
import pytest

from udpdiff.measures.depth import evaluate_depth_maps, fit_scale_and_shift

DISPARITY_CASES = ["noisy_unit", "per_frame_drift", "inverted_sparse_mask", "low_res_pred"]


def _score(golden, case, **options):
    data = golden.tensors("depth", case["file"])
    return evaluate_depth_maps(data["pred"], data["gt"], valid=data["mask"], **({"max_value": 70.0} | options))


def _assert_equal(score, reference):
    assert score.abs_rel == pytest.approx(reference["abs_rel"], rel=1e-6)
    assert score.rmse == pytest.approx(reference["rmse"], rel=1e-6)
    assert score.delta1 == pytest.approx(reference["delta1"], abs=1e-7)


@pytest.mark.parametrize("name", DISPARITY_CASES)
@pytest.mark.parametrize(
    ("alignment", "key"),
    [("video", "per_video_disp_domain"), ("frame", "per_frame_float64")],
)
def test_aligned_scores_equal_the_reference(golden, name, alignment, key):
    case = golden.json("depth")["cases"][name]
    _assert_equal(_score(golden, case, alignment=alignment), case[key])


@pytest.mark.parametrize("name", DISPARITY_CASES)
def test_scores_without_alignment_equal_the_reference(golden, name):
    case = golden.json("depth")["cases"][name]
    data = golden.tensors("depth", case["file"])
    inside = (data["mask"] == 1) & (data["gt"] < 70)
    score = evaluate_depth_maps(data["pred"], data["gt"], valid=inside, alignment="none")
    _assert_equal(score, case["none_clipped_float64"])


def test_metric_depth_is_fitted_in_disparity(golden):
    case = golden.json("depth")["cases"]["metric_depth_80m"]
    _assert_equal(_score(golden, case, alignment="video", domain="depth"), case["per_video_depth_domain"])


def test_each_frame_in_metres_is_fitted_by_plain_least_squares(golden):
    """Marigold adds nothing to the reference, as DepthCrafter does; values of its own code."""
    case = golden.json("depth")["cases"]["metric_depth_80m"]
    score, expected = _score(golden, case, alignment="frame", domain="depth"), case["per_frame_disparity_space_float64"]
    found = [score.abs_rel, score.rmse, score.delta1]
    assert found == pytest.approx([expected[name] for name in ("abs_rel", "rmse", "delta1")], abs=1e-9)


def test_the_fit_of_a_frame_in_metres_is_exact():
    rng = np.random.default_rng(0)
    reference, prediction = rng.uniform(2, 79, (3, 24, 32)), rng.uniform(0.2, 1, (3, 24, 32))
    prediction += 3 / reference
    valid = rng.uniform(size=reference.shape) > 0.3
    limits = {"valid": valid, "domain": "depth", "max_value": 80.0}
    score = evaluate_depth_maps(prediction, reference, alignment="frame", **limits)
    for found, own, truth, mask in zip(score.aligned, prediction, reference, valid, strict=True):
        columns = np.stack([own[mask], np.ones(mask.sum())], axis=1)
        (scale, shift), *_ = np.linalg.lstsq(columns, 1 / truth[mask], rcond=None)
        aligned = np.clip(1 / np.maximum(scale * own + shift, 1e-3), 1e-3, 80.0)
        np.testing.assert_allclose(found, aligned, atol=1e-9, rtol=0)


def test_the_fit_of_a_video_in_metres_is_depthcrafters():
    rng = np.random.default_rng(0)
    reference, prediction = rng.uniform(2, 79, (3, 24, 32)), rng.uniform(0.2, 1, (3, 24, 32))
    score = evaluate_depth_maps(prediction, reference, alignment="video", domain="depth", max_value=80.0)
    columns = np.stack([prediction.ravel(), np.ones(prediction.size)], axis=1)
    (scale, shift), *_ = np.linalg.lstsq(columns, 1 / (reference.ravel() + 1e-8), rcond=None)
    aligned = np.clip(1 / np.maximum(scale * prediction + shift, 1e-3), 1e-3, 80.0)
    np.testing.assert_allclose(score.aligned, aligned, atol=1e-9, rtol=0)


def test_a_scaled_and_shifted_prediction_is_perfect_after_alignment():
    reference = np.linspace(0.1, 1, 2 * 4 * 5).reshape(2, 4, 5)
    prediction = (reference - 0.05) / 3
    aligned = evaluate_depth_maps(prediction, reference)
    assert (aligned.delta1, aligned.rmse) == (1.0, pytest.approx(0, abs=1e-12))
    assert evaluate_depth_maps(prediction, reference, alignment="none").delta1 == 0


def test_scores_by_hand():
    reference = np.array([[[0.5, 0.5]], [[0.8, 0.4]]])
    prediction = np.array([[[0.5, 0.7]], [[0.8, 0.4]]])
    score = evaluate_depth_maps(prediction, reference, alignment="none")
    assert score.delta1 == pytest.approx((0.5 + 1) / 2)
    assert score.rmse == pytest.approx(np.sqrt(0.02) / 2)
    assert score.abs_rel == pytest.approx((0.4 / 2) / 2)


def test_only_valid_pixels_count_and_frames_without_any_are_left_out():
    reference = np.array([[[0.5, 0.5]], [[0.5, 0.0]], [[0.5, 0.5]]])
    prediction = np.array([[[0.5, 0.1]], [[0.5, 0.9]], [[0.1, 0.1]]])
    valid = np.array([[[1, 0]], [[1, 1]], [[0, 0]]], bool)
    score = evaluate_depth_maps(prediction, reference, valid=valid, alignment="none")
    assert (score.delta1, score.num_frames) == (1.0, 2)


def test_the_prediction_is_raised_to_the_least_value_before_the_fit_of_a_video():
    """Upstream clips first: a prediction far below 0 pulls the fit as if it were 0."""
    reference = np.array([[[0.1, 0.5, 0.9]]])
    low = evaluate_depth_maps(np.array([[[-5.0, 0.5, 1.0]]]), reference)
    clipped = evaluate_depth_maps(np.array([[[1e-3, 0.5, 1.0]]]), reference)
    assert (low.rmse, low.delta1) == (clipped.rmse, clipped.delta1) and low.rmse < 0.05
    np.testing.assert_array_equal(low.aligned, clipped.aligned)
    frame = evaluate_depth_maps(np.array([[[-5.0, 0.5, 1.0]]]), reference, alignment="frame")
    assert frame.rmse > 0.1


def test_one_drifting_scale_hurts_the_video_fit_but_not_the_frame_fit():
    reference = np.random.default_rng(0).uniform(0.2, 0.9, (4, 8, 8))
    drifting = reference * np.array([0.4, 0.6, 0.8, 1.0])[:, None, None]
    assert evaluate_depth_maps(drifting, reference, alignment="frame").delta1 == 1
    assert evaluate_depth_maps(drifting, reference, alignment="video").delta1 < 0.8


def test_a_constant_map_is_aligned_to_the_mean():
    assert fit_scale_and_shift(np.full(6, 0.3), np.arange(6.0)) == (0.0, 2.5)


def test_no_valid_pixel_is_an_error():
    with pytest.raises(ValueError, match="no valid pixel"):
        evaluate_depth_maps(np.zeros((1, 2, 2)), np.zeros((1, 2, 2)))
