"""Figures of labels against exact truth: hand-computed cases, what must not matter, what must."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.clip import FIRST_SOLID_ID
from udpdiff.measures.flicker import depth_flicker
from udpdiff.measures.id_switches import id_switches
from udpdiff.measures.tube_detection import tube_detection
from udpdiff.sources.scenes import SceneSettings, render_clip
from udpdiff.tasks import get_task


@pytest.fixture(scope="module")
def scene():
    """A rendered scene, with a moving camera, so that flow and depth change everywhere."""
    settings = SceneSettings(height=48, width=48, num_frames=5, fps=8)
    return next(
        clip for clip in map(lambda seed: render_clip(settings, seed), range(50)) if clip.scene["camera"] == "in"
    )


def figures(ids, truth):
    task = get_task("seg")
    return task.compare_with_truth(ids, {"entity_ids": truth}, task.Options())


def depths(depth, scene):
    task = get_task("depth")
    truth = {"z": scene.z, "flow": scene.flow, "entity_ids": scene.entity_ids}
    return task.compare_with_truth(depth, truth, task.Options())


def columns(*ids):
    """One frame of 4 x 4 per argument, whose columns hold the ids."""
    return np.array([np.tile(frame, (4, 1)) for frame in ids], np.uint16)


# Entities.


def test_precision_and_recall_by_hand():
    truth = columns([1, 1, 2, 3], [1, 1, 2, 3])
    predicted = columns([7, 7, 7, 9], [7, 7, 7, 9])  # 7 covers 1 with IoU 2/3; 9 is 3; 2 is missed
    found = tube_detection(predicted, truth)
    assert (found.matched, found.spurious, found.missed) == (2, 0, 1)
    assert found.precision == 1 and found.recall == pytest.approx(2 / 3)
    assert tube_detection(predicted, truth, threshold=0.7).matched == 1
    split = columns([5, 6, 2, 3], [5, 6, 2, 3])  # each half of entity 1 has IoU exactly 0.5, which is no hit
    found = tube_detection(split, truth)
    assert (found.matched, found.spurious, found.missed) == (2, 2, 1)


def test_entities_too_small_to_count_are_neither_missed_nor_spurious():
    truth = columns([1, 1, 1, 2])
    with_small, without = columns([5, 5, 5, 6]), columns([5, 5, 5, 0])
    assert tube_detection(with_small, truth, min_pixels=5) == tube_detection(without, truth, min_pixels=5)
    assert tube_detection(without, truth).recall == 0.5


def test_nothing_labelled_has_no_precision():
    found = tube_detection(np.zeros((1, 4, 4), int), columns([1, 1, 1, 1]))
    assert np.isnan(found.precision) and found.recall == 0
    with pytest.raises(ValueError, match=r"threshold 0\.3, expected 0\.5"):
        tube_detection(columns([1, 1, 1, 1]), columns([1, 1, 1, 1]), threshold=0.3)


def test_switches_by_hand():
    truth = columns([1, 1, 2, 2], [1, 1, 2, 2], [1, 1, 2, 2], [1, 1, 2, 2])
    swapped = columns([5, 5, 6, 6], [6, 6, 5, 5], [6, 6, 5, 5], [5, 5, 6, 6])
    assert id_switches(swapped, truth).frames == {1: [1, 3], 2: [1, 3]}
    assert id_switches(swapped, truth).mean == 2
    lost = columns([5, 5, 6, 6], [0, 0, 6, 6], [5, 5, 6, 6], [8, 8, 6, 6])  # lost and found again is no switch
    assert id_switches(lost, truth).frames == {1: [3], 2: []}


def test_ids_that_cover_equally_much_do_not_count_as_switches():
    truth = columns([1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1])
    for ids in ((5, 6), (6, 5)):
        a, b = ids
        tied = columns([a, a, b, b], [b, b, b, a], [a, a, b, b])
        assert id_switches(tied, truth).frames == {1: []}, "b may have been the one all along"
        assert id_switches(columns([a, a, a, b], [a, a, b, b], [a, b, b, b]), truth).frames == {1: [2]}


def test_entities_hidden_for_a_while_are_passed_over():
    truth = columns([1, 1, 1, 2], [1, 1, 1, 1], [1, 1, 2, 2])
    predicted = columns([5, 5, 5, 6], [5, 5, 5, 5], [5, 5, 6, 6])
    assert id_switches(predicted, truth).frames == {1: [], 2: []}
    assert id_switches(predicted, truth, min_pixels=5).frames == {1: [], 2: []}
    assert 2 not in id_switches(predicted, truth, min_pixels=9).frames


def test_perfect_labels_get_perfect_figures(scene):
    assert figures(scene.entity_ids, scene.entity_ids) == {
        "entity_miou": 1, "solid_miou": 1, "entity_precision": 1, "entity_recall": 1, "entity_j": 1, "entity_f": 1,
        "entity_j_and_f": 1, "id_switches": 0, "coverage": 1,
    }  # fmt: skip


def test_names_of_ids_do_not_matter(scene):
    rng = np.random.default_rng(0)
    bad = np.where(rng.random(scene.entity_ids.shape) < 0.2, 1, scene.entity_ids)
    bad[3:] = np.where(bad[3:] == 1, 2, np.where(bad[3:] == 2, 1, bad[3:]))
    renamed = np.array([0, 40, 7, *range(90, 70, -1)], np.uint16)[bad]
    assert figures(renamed, scene.entity_ids) == pytest.approx(figures(bad, scene.entity_ids), rel=1e-9)
    assert figures(bad, scene.entity_ids)["id_switches"] > 0


def test_every_entity_figure_has_a_fault_that_it_sees(scene):
    truth = scene.entity_ids
    holes = truth.copy()
    holes[:, ::4] = 0
    assert figures(holes, truth)["coverage"] == pytest.approx(0.75)
    assert figures(holes, truth)["entity_j"] < 1 and figures(holes, truth)["entity_f"] < 1
    missed = np.where(truth >= FIRST_SOLID_ID, 1, truth)  # solids are taken for ground
    assert figures(missed, truth)["entity_recall"] < 1 and figures(missed, truth)["entity_precision"] == 1
    assert figures(missed, truth)["solid_miou"] < figures(missed, truth)["entity_miou"]
    spurious = truth.copy()
    spurious[:, :3, :3] = 99
    assert figures(spurious, truth)["entity_precision"] < 1 and figures(spurious, truth)["entity_recall"] == 1


# Depth.


def disparity(z):
    """Depth labels as a perfect labeller gives them: disparity in [0, 1]."""
    inverse = 1 / z.astype(np.float64)
    return (inverse - inverse.min()) / (inverse.max() - inverse.min())


def test_flicker_by_hand():
    """A wall at depth 2 seen in three frames, without motion: depth 2, 2.2, 2.2 flickers by log 1.1 in one step of two."""
    z, ids, flow = np.full((3, 4, 4), 2.0), np.ones((3, 4, 4), int), np.zeros((2, 4, 4, 2))
    depth = z * np.array([1, 1.1, 1.1])[:, None, None]
    flicker = depth_flicker(depth, z, flow, ids)
    assert flicker.steps == pytest.approx([np.log(1.1), 0])
    assert flicker.mean == pytest.approx(np.log(1.1) / 2) and flicker.true_change == 0


def test_true_motion_is_no_flicker_and_standing_still_is():
    """The wall comes from depth 4 to 2: labels that follow do not flicker, labels that stay at 4 do by log 2."""
    z, ids, flow = np.full((2, 4, 4), 4.0), np.ones((2, 4, 4), int), np.zeros((1, 4, 4, 2))
    z[1] = 2
    assert depth_flicker(z, z, flow, ids).mean == 0
    still = depth_flicker(np.full_like(z, 4.0), z, flow, ids)
    assert still.mean == pytest.approx(np.log(2)) and still.true_change == pytest.approx(np.log(2))


def test_an_error_that_travels_with_its_surface_does_not_flicker():
    """A stripe whose depth is 20 % off moves right by one pixel a frame, as the surface does; left standing it flickers."""
    z, ids = np.full((3, 4, 12), 3.0), np.ones((3, 4, 12), int)
    flow = np.zeros((2, 4, 12, 2))
    flow[..., 0] = 1
    travelling, standing = z.copy(), z.copy()
    for frame in range(3):
        travelling[frame, :, 4 + frame] *= 1.2
        standing[frame, :, 4] *= 1.2
    assert depth_flicker(travelling, z, flow, ids).mean == pytest.approx(0, abs=1e-12)
    # Of 11 columns that stay in the picture two meet the stripe in each step, one before and one after.
    assert depth_flicker(standing, z, flow, ids).mean == pytest.approx(2 / 11 * np.log(1.2))


def test_surfaces_that_are_covered_next_or_leave_are_not_followed():
    z, ids, flow = np.full((2, 3, 4), 5.0), np.ones((2, 3, 4), int), np.zeros((1, 3, 4, 2))
    z[1, :, 2:], ids[1, :, 2:] = 1.0, 2  # something moves in front of the right half
    assert depth_flicker(np.full_like(z, 5.0), z, flow, ids).mean == 0
    flow[..., 0] = np.inf
    assert np.isnan(depth_flicker(z, z, flow, ids).mean)


def test_exact_depth_gets_perfect_figures(scene):
    exact = depths(disparity(scene.z), scene)
    assert exact["depth_delta1"] == 1
    assert exact["depth_abs_rel"] == pytest.approx(0, abs=2e-3)  # labels are kept from 0 before the fit
    assert exact["depth_flicker"] == pytest.approx(0, abs=1e-3)
    assert exact["depth_true_change"] > 0.003, "the camera moves in"


def test_scale_and_shift_of_depth_do_not_matter(scene):
    rng = np.random.default_rng(0)
    depth = np.clip(disparity(scene.z) + rng.normal(0, 0.02, scene.z.shape), 0.01, 1)
    assert depths(0.5 * depth + 0.2, scene) == pytest.approx(depths(depth, scene), rel=1e-6)


def test_pumping_raises_flicker_and_hardly_delta1(scene):
    depth = 0.8 * disparity(scene.z) + 0.1
    flickers, deltas = [], []
    for strength in (0.0, 0.01, 0.03):
        pumped = depth + strength * np.array([1, -1, 1, -1, 1])[:, None, None]
        found = depths(pumped, scene)
        flickers.append(found["depth_flicker"])
        deltas.append(found["depth_delta1"])
    assert flickers[0] < flickers[1] < flickers[2] and flickers[2] > 0.03
    assert deltas[2] > 0.95


def test_a_still_blur_is_wrong_but_flickers_less_than_noise_of_the_same_error(scene):
    rng = np.random.default_rng(0)
    depth = 0.8 * disparity(scene.z) + 0.1
    tilted = depth + np.linspace(-0.05, 0.05, depth.shape[2])
    noisy = depth + rng.permutation(np.resize(tilted - depth, depth.shape).ravel()).reshape(depth.shape)
    tilted, noisy = depths(tilted, scene), depths(noisy, scene)
    assert tilted["depth_abs_rel"] > 0.5 * noisy["depth_abs_rel"]
    assert tilted["depth_flicker"] < 0.2 * noisy["depth_flicker"]


def test_shapes_and_signs_are_checked(scene):
    ids = scene.entity_ids
    with pytest.raises(ValueError, match="expected three times"):
        depth_flicker(scene.z, scene.z, scene.flow[:-1], ids)
    with pytest.raises(ValueError, match="expected all above 0"):
        depth_flicker(scene.z * 0, scene.z, scene.flow, ids)
    with pytest.raises(ValueError, match="two arrays"):
        id_switches(ids[:-1], ids)
