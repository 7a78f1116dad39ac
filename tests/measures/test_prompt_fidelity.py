from __future__ import annotations

import numpy as np
import pytest

from udpdiff.measures.prompt_fidelity import prompt_fidelity


def test_equal_features_are_at_one_whatever_their_lengths():
    feature = np.array([3.0, -1.0, 2.0])
    frames = np.outer([1.0, 0.5, 7.0], feature)
    assert prompt_fidelity(frames, 4 * feature) == pytest.approx(1, abs=1e-12)
    assert prompt_fidelity(frames, -feature) == pytest.approx(-1, abs=1e-12)
    assert prompt_fidelity(frames[:1], feature) == pytest.approx(1), "one frame is enough"


def test_it_is_the_mean_over_frames_in_any_order():
    frames, prompt = np.array([[1.0, 0], [0, 2], [1, 1]]), np.array([1.0, 0])
    assert prompt_fidelity(frames, prompt) == pytest.approx((1 + 0 + np.sqrt(0.5)) / 3)
    assert prompt_fidelity(frames[[2, 0, 1]], prompt) == pytest.approx(prompt_fidelity(frames, prompt))


@pytest.mark.parametrize(
    ("frames", "prompt"),
    [
        (np.ones((2, 3)), np.ones(4)),
        (np.ones((0, 3)), np.ones(3)),
        (np.ones(3), np.ones(3)),
        (np.array([[1.0, np.nan, 1.0]]), np.ones(3)),
        (np.ones((2, 3)), np.zeros(3)),
    ],
)
def test_what_has_no_direction_is_refused(frames, prompt):
    with pytest.raises(ValueError, match="Prompt fidelity"):
        prompt_fidelity(frames, prompt)
