"""The temporal gradient error by hand, against its plain definition, and at its limits."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.measures.depth import evaluate_depth_maps, temporal_gradient_error


def ramp(frames=4):
    """Disparity (T, 6, 10) from 0.1 to 1, which rises by 0.01 a frame."""
    return np.linspace(0.1, 0.96, 10) + np.zeros((frames, 6, 10)) + 0.01 * np.arange(frames)[:, None, None]


def error_of(prediction, reference=None):
    reference = ramp() if reference is None else reference
    return temporal_gradient_error(evaluate_depth_maps(prediction, reference).aligned, reference)


def test_a_video_against_itself_and_in_another_scale_has_none():
    assert error_of(ramp()) == 0
    assert error_of(0.3 + ramp() / 2) == pytest.approx(0, abs=1e-12)


def test_changes_that_are_missing_and_frames_that_jump_by_hand():
    assert temporal_gradient_error(np.full((4, 6, 10), 0.5), ramp()) == pytest.approx(0.01), "a still prediction"
    corrupted = ramp()
    corrupted[2] += 0.3
    assert temporal_gradient_error(corrupted, ramp()) == pytest.approx(2 * 0.3 / 3)


def test_frames_out_of_order_and_reversed_depth_cost():
    shuffled = ramp(6)[[0, 4, 1, 5, 2, 3]]
    assert error_of(shuffled, ramp(6)) > 0.02
    assert temporal_gradient_error(1.1 - ramp(), ramp()) == pytest.approx(0.02)


def test_what_moves_across_an_edge_and_what_is_far_does_not_count():
    reference = ramp()
    edge = reference.copy()
    edge[2:, :, 4] += 0.2  # more than 5 % of the range: no surface does so
    assert temporal_gradient_error(reference, edge) == 0
    far = reference.copy()
    far[:, :, 0] = 1e-4
    prediction = far.copy()
    prediction[1, :, 0] = 0.9
    assert temporal_gradient_error(prediction, far) == 0


def test_it_is_the_plain_definition():
    rng = np.random.default_rng(0)
    reference = np.clip(ramp() + rng.normal(0, 0.03, (4, 6, 10)), 0, 1)
    prediction = np.clip(ramp() + rng.normal(0, 0.03, (4, 6, 10)), 0, 1)
    valid = reference > 1e-3
    limit = 0.05 * (reference[valid].max() - reference[valid].min())
    steps = []
    for before, after in zip(range(3), range(1, 4), strict=True):
        gaps = [
            abs((prediction[after][at] - prediction[before][at]) - (reference[after][at] - reference[before][at]))
            for at in np.ndindex(6, 10)
            if valid[before][at] and valid[after][at] and abs(reference[after][at] - reference[before][at]) < limit
        ]
        steps.append(np.mean(gaps))
    assert temporal_gradient_error(prediction, reference) == pytest.approx(np.mean(steps), abs=1e-12)
    # Made once by this definition: it stays what it was.
    assert temporal_gradient_error(prediction, reference) == pytest.approx(0.03879688850440085, abs=1e-9)


def test_one_frame_and_a_constant_reference_have_no_value():
    assert np.isnan(error_of(ramp(1), ramp(1)))
    assert np.isnan(temporal_gradient_error(ramp(), np.full((4, 6, 10), 0.5)))
    assert error_of(np.full((4, 6, 10), 0.5)) == pytest.approx(0.01), "a constant prediction is fitted to the mean"


def test_predictions_that_are_not_finite_and_other_shapes_are_refused():
    broken = ramp()
    broken[1, 2, 3] = np.nan
    for alignment in ("none", "video", "frame"):
        with pytest.raises(ValueError, match="not finite"):
            evaluate_depth_maps(broken, ramp(), alignment=alignment)
    with pytest.raises(ValueError, match="expected the same"):
        temporal_gradient_error(ramp(3), ramp(4))
