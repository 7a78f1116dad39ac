"""Entities and depth along a motion that is known: what stays with its surface is perfect, and what each fault costs."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.measures.along_motion import depth_flow_error, entity_flow_iou
from udpdiff.measures.optical_flow import FollowedFlow, followed_flow


def moving(step, frames=4, size=(8, 16)):
    """Everything moves by (x, y) a frame; only what stays in the picture is trusted."""
    flow = np.broadcast_to(np.float32(step), (frames - 1, *size, 2)).copy()
    trusted = np.ones((frames - 1, *size), bool)
    trusted[:, :, size[1] - int(np.ceil(step[0])) :] = False
    return FollowedFlow(flow, trusted)


def sliding(step, frames=4):
    """Ids of columns of two pixels, which move to the right by a number of pixels a frame."""
    columns = np.arange(16)[None, None] - step * np.arange(frames)[:, None, None]
    return ((columns // 2 % 5) + 1 + np.zeros((frames, 8, 16))).astype(np.uint16)


STILL = moving((0, 0))


def test_what_moves_with_the_video_is_itself():
    assert entity_flow_iou(sliding(1), moving((1, 0))) == 1
    assert entity_flow_iou(sliding(0), STILL) == 1
    assert entity_flow_iou(sliding(1), STILL) < 0.5, "ids that move over what stays"


def test_one_step_of_two_with_exchanged_ids_by_hand():
    ids = np.zeros((3, 8, 16), np.uint16)
    ids[:, :, :8], ids[:, :, 8:] = 1, 2
    ids[2] = 3 - ids[2]  # swapped colours from the third frame on
    motion = moving((0, 0), frames=3)
    assert entity_flow_iou(ids, motion) == pytest.approx(64 / (4 * 64 - 64))
    renamed = np.array([0, 7, 4])[ids]
    assert entity_flow_iou(renamed, motion) == entity_flow_iou(ids, motion), "ids are names"


def test_places_between_pixels_take_the_nearest():
    assert entity_flow_iou(sliding(1), moving((1.3, 0))) == 1
    assert entity_flow_iou(sliding(1), moving((1.6, 0))) < 1


def test_one_corrupted_frame_and_frames_out_of_order_cost():
    ids = sliding(1, 6)
    motion = moving((1, 0), frames=6)
    corrupted = sliding(0, 6)
    corrupted[3] = 0
    assert entity_flow_iou(corrupted, moving((0, 0), frames=6)) == pytest.approx(3 / 5)
    assert entity_flow_iou(ids[[0, 3, 1, 5, 2, 4]], motion) < 0.3


def test_few_pixels_none_and_one_frame_have_no_value():
    ids = np.zeros((4, 8, 16), np.uint16)
    assert np.isnan(entity_flow_iou(ids, STILL))
    ids[:, 0, :3] = 1
    assert entity_flow_iou(ids, STILL, min_pixels=9) == 1 and np.isnan(entity_flow_iou(ids, STILL, min_pixels=10))
    assert np.isnan(entity_flow_iou(ids[:1], moving((0, 0), frames=1)))
    nothing = FollowedFlow(STILL.flow, np.zeros_like(STILL.trusted))
    assert np.isnan(entity_flow_iou(sliding(0), nothing)) and np.isnan(depth_flow_error(np.ones((4, 8, 16)), nothing))


def test_depth_that_stays_with_its_surface_does_not_change():
    ramp = np.broadcast_to((np.arange(16.0) - np.arange(4.0)[:, None, None]) / 20, (4, 8, 16))
    assert depth_flow_error(ramp, moving((1, 0))) == pytest.approx(0, abs=1e-12)
    assert depth_flow_error(ramp, moving((1.5, 0))) == pytest.approx(0.5 / 20), "read between pixels"
    assert depth_flow_error(ramp, STILL) == pytest.approx(1 / 20)
    assert depth_flow_error(1 - ramp, moving((1, 0))) == pytest.approx(0, abs=1e-12), "reversed depth is as steady"
    assert depth_flow_error(ramp * 3, STILL) == pytest.approx(3 / 20), "the scale matters"
    assert depth_flow_error(np.full((4, 8, 16), 0.5), STILL) == 0, "constant depth"


def test_one_corrupted_frame_of_depth_costs_both_its_steps():
    depth = np.full((4, 8, 16), 0.5)
    depth[2] = 0.8
    assert depth_flow_error(depth, STILL) == pytest.approx(2 * 0.3 / 3)
    assert np.isnan(depth_flow_error(depth[:1], moving((0, 0), frames=1)))


def test_other_frames_and_values_that_are_not_finite_are_refused():
    for call, prediction in ((entity_flow_iou, sliding(0, 5)), (depth_flow_error, np.zeros((4, 8, 15)))):
        with pytest.raises(ValueError, match=r"Along the flow: got a prediction .* expected the same frames"):
            call(prediction, STILL)
    broken = np.zeros((4, 8, 16))
    broken[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        depth_flow_error(broken, STILL)


def test_the_motion_of_a_real_video_is_followed():
    from scipy.ndimage import gaussian_filter

    noise = gaussian_filter(np.random.default_rng(0).normal(size=(48, 80, 3)), (1.5, 1.5, 0))
    picture = np.clip(128 + 200 * noise, 0, 255).astype(np.uint8)
    video = np.stack([picture[:, 16 - 2 * frame : 64 - 2 * frame] for frame in range(4)])
    blocks = np.kron(np.arange(1, 61).reshape(6, 10), np.ones((8, 8), int)).astype(np.uint16)
    ids = np.stack([blocks[:, 16 - 2 * frame : 64 - 2 * frame] for frame in range(4)])
    motion = followed_flow(video)
    assert motion.trusted.mean() > 0.8 and entity_flow_iou(ids, motion, min_pixels=12) > 0.9
    assert entity_flow_iou(np.repeat(ids[:1], 4, axis=0), motion, min_pixels=12) < 0.75
    still = followed_flow(np.repeat(video[:1], 4, axis=0))
    assert still.trusted.all() and (still.flow == 0).all()
