"""Optical flow: what moved by so much is found to, everywhere and at every size, and where it cannot be known is said."""

import numpy as np
import pytest

from udpdiff.measures.optical_flow import backward_flow, dense_flow, next_places, sample, trusted


def texture(height, width, seed=0):
    """Smooth noise uint8 (height, width, 3)."""
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(height, width, 3)), (1.5, 1.5, 0))
    return np.clip(128 + 200 * noise, 0, 255).astype(np.uint8)


def shifted(height, width, steps, frames=3):
    """A window that slides over a larger texture: its content moves by steps (x, y) a frame."""
    far = 16
    large = texture(height + 2 * far, width + 2 * far)
    starts = [(far - frame * steps[1], far - frame * steps[0]) for frame in range(frames)]
    return np.stack([large[y : y + height, x : x + width] for y, x in starts])


@pytest.mark.parametrize("size", [(64, 64), (48, 72), (300, 280), (20, 96), (12, 200), (9, 9), (1, 40)])
def test_a_shift_is_found_at_every_size(size):
    flow = dense_flow(shifted(*size, (2, 0)))
    assert flow.shape == (2, *size, 2) and flow.dtype == np.float32
    if min(size) >= 12:
        assert np.median(np.abs(flow - (2, 0))) < 0.2


def test_direction_is_x_then_y_and_forward():
    flow = dense_flow(shifted(64, 96, (3, -1)))
    assert np.abs(np.median(flow, axis=(0, 1, 2)) - (3, -1)).max() < 0.1
    back = backward_flow(shifted(64, 96, (3, -1)))
    assert np.abs(np.median(back, axis=(0, 1, 2)) - (-3, 1)).max() < 0.1


def test_equal_frames_have_none_and_one_frame_has_no_step():
    still = np.repeat(texture(40, 40)[None], 3, axis=0)
    assert (dense_flow(still) == 0).all()
    assert dense_flow(still[:1]).shape == (0, 40, 40, 2)
    assert trusted(dense_flow(still[:1]), backward_flow(still[:1])).shape == (0, 40, 40)


def test_what_leaves_the_picture_or_does_not_return_is_not_trusted():
    forward = np.zeros((1, 4, 6, 2), np.float32)
    forward[..., 0] = 2
    backward = -forward
    backward[0, 1, 3] = (5, 0)
    found = trusted(forward, backward)[0]
    expected = np.ones((4, 6), bool)
    expected[:, 4:] = False
    expected[1, 1] = False  # comes to lie at column 3
    assert (found == expected).all()


def test_the_tolerance_grows_with_the_motion():
    forward = np.full((1, 1, 40, 2), 0, np.float32)
    forward[..., 0] = 20
    for gap, kept in ((2.7, True), (3.0, False)):  # 0.01 (20^2 + (20 - gap)^2) + 0.5 is 7.5 and 7.4
        backward = np.zeros_like(forward)
        backward[..., 0] = -20 + gap
        assert trusted(forward, backward)[0, 0, 5] == kept


def test_values_are_sampled_between_pixels():
    image = np.array([[0.0, 10.0], [20.0, 40.0]])
    places = np.array([[0, 0.5, 1, 1], [0.25, 0.5, 1, 0]])
    assert sample(image, places) == pytest.approx([2.5, 17.5, 40, 20])
    assert sample(image[..., None], places).shape == (4, 1)
    inside, where = next_places(np.array([[[0.5, 0], [0.5, 0]]]))
    assert inside.tolist() == [[True, False]] and where.tolist() == [[0.0], [0.5]]


@pytest.mark.parametrize(
    "video", [np.zeros((2, 8, 8, 3), np.float32), np.zeros((2, 8, 8), np.uint8), np.zeros((0, 8, 8, 3), np.uint8)]
)
def test_other_arrays_are_refused(video):
    with pytest.raises(ValueError, match=r"Optical flow: got .* expected a video, uint8 \(T, H, W, 3\)"):
        dense_flow(video)


def test_flows_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match="Optical flow"):
        trusted(np.zeros((1, 4, 4, 2)), np.zeros((2, 4, 4, 2)))
