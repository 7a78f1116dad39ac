"""How much moves: nothing in a still video, the known shift of a texture, VBench's threshold, and no value of what is none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from udpdiff.finite import NotFinite
from udpdiff.measures.motion import STILL, frames_looked_at, motion
from udpdiff.measures.optical_flow import dense_flow


def texture(height: int = 64, width: int = 96) -> np.ndarray:
    """A smooth random picture, uint8 (height, width, 3)."""
    rng = np.random.default_rng(0)
    blurred = cv2.GaussianBlur(rng.normal(size=(height, width, 3)), (0, 0), 2)
    return np.clip(128 + 60 * blurred / blurred.std(), 0, 255).astype(np.uint8)


def translated(shift: int, frames: int = 5, size: int = 48) -> np.ndarray:
    """The texture seen through a window of `size` that goes `shift` pixels a frame to the left: all moves right."""
    picture = texture(size, size + shift * frames)
    starts = [shift * (frames - 1 - frame) for frame in range(frames)]
    return np.stack([picture[:, start : start + size] for start in starts])


def flow_of(length: float, size: int = 32, count: int | None = None) -> np.ndarray:
    """A flow of which the first `count` pixels (all) go `length` to the lower right."""
    flow = np.zeros((size * size, 2), np.float32)
    flow[:count] = length / np.sqrt(2)
    return flow.reshape(size, size, 2)


def test_a_still_video_has_none():
    still = np.repeat(texture()[None], 4, axis=0)
    assert motion(dense_flow(still)) == STILL and STILL.degree == 0


@pytest.mark.parametrize("shift", [1, 3])
def test_a_translated_texture_has_its_shift(shift):
    assert motion(dense_flow(translated(shift))).degree == pytest.approx(shift / 48, rel=0.05)


def test_it_is_relative_to_the_short_side():
    large = [np.kron(flow_of(4), np.ones((2, 3, 1))) * 2]  # twice as high and as far, three times as wide
    assert motion(large).degree == pytest.approx(motion([flow_of(4)]).degree) == pytest.approx(4 / 32)


def test_shuffled_frames_move_more():
    video = translated(1, frames=6)
    assert motion(dense_flow(video)).degree == pytest.approx(1 / 48, rel=0.1)
    steps = (3, 5, 4, 3, 2)
    assert motion(dense_flow(video[[3, 0, 5, 1, 4, 2]])).degree == pytest.approx(np.mean(steps) / 48, rel=0.1)


def test_vbenchs_rule_is_about_the_fastest_twentieth_in_a_quarter_of_the_frames():
    threshold, count = 32 * 6 / 256, int(0.05 * 32 * 32)
    above, below, few = (
        flow_of(threshold * 1.01, count=count),
        flow_of(threshold * 0.99),
        flow_of(threshold * 1.01, count=count // 2),
    )
    assert motion([above]).is_dynamic and not motion([below]).is_dynamic and not motion([few]).is_dynamic
    # Of 9 frames, round(9 / 4) pairs.
    assert motion([above] * 2 + [below] * 6).is_dynamic and not motion([above] + [below] * 7).is_dynamic


def test_frames_are_eight_a_second():
    video = np.arange(49)
    for fps, step in ((4, 1), (8, 1), (11, 1), (24, 3), (30, 4)):
        np.testing.assert_array_equal(frames_looked_at(video, fps), video[::step])


def test_what_has_no_motion_to_be_measured_is_refused():
    with pytest.raises(ValueError, match="two frames or more"):
        motion(dense_flow(texture()[None]))
    bad = flow_of(1)
    bad[3, 4] = np.nan
    with pytest.raises(NotFinite, match="optical flow"):
        motion([flow_of(1), bad])
