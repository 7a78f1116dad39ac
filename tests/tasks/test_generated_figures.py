"""Figures of generated entities and depth: what leaves them alone, what each fault does to them, and their own golden values."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.measures.optical_flow import FollowedFlow
from udpdiff.representations.pixelplanes import encode_entities
from udpdiff.tasks import TASKS, get_task

SEG, DEPTH = get_task("seg"), get_task("depth")
FRAMES, SIZE = 4, 24


def entities():
    """Two halves and two solids, one of which moves right by a pixel a frame; its surface is what `motion` says."""
    ids = np.zeros((FRAMES, SIZE, SIZE), np.uint16)
    ids[:, :14], ids[:, 14:] = 1, 2
    for frame in range(FRAMES):
        ids[frame, 4:10, 5 + frame : 11 + frame] = 3
        ids[frame, 17:21, 15:19] = 4
    return ids


def depth():
    rows = np.linspace(0.1, 0.9, SIZE)[None, :, None] + np.zeros((FRAMES, SIZE, SIZE))
    return np.clip(rows + 0.02 * np.arange(FRAMES)[:, None, None], 0, 1).astype(np.float32)


def motion(ids):
    flow = np.zeros((FRAMES - 1, SIZE, SIZE, 2), np.float32)
    flow[..., 0] = ids[:-1] == 3
    trusted = np.ones(flow.shape[:3], bool)
    for frame in range(FRAMES - 1):
        trusted[frame, 4:10, 11 + frame] = False  # what the solid covers next
    return FollowedFlow(flow, trusted)


def figures(task, prediction, reference, colormap=None):
    return (
        task.compare(prediction, reference)
        | task.follow(prediction, motion(entities()))
        | task.inspect(prediction, colormap)
    )


def seg(prediction, reference=None):
    colormap, _ = encode_entities(prediction, np.random.default_rng(0), 60)
    return figures(SEG, prediction, entities() if reference is None else reference, colormap)


AGREEMENT = ("entity_tube_iou", "entity_tube_pq", "solid_tube_iou", "entity_j", "entity_f", "entity_j_and_f")


def test_all_generated_figures_are_there_and_perfect_predictions_are_perfect():
    found = seg(entities())
    assert set(found) == {figure.key for figure in SEG.figures["generated"]}
    assert [found[key] for key in AGREEMENT] == [1] * 6
    assert (found["entity_flow_iou"], found["entity_color_purity"], found["entity_unassigned"]) == (1, 1, 0)
    assert found["entity_fragments"] == 1
    found = figures(DEPTH, depth(), depth())
    assert set(found) == {figure.key for figure in DEPTH.figures["generated"]}
    assert found["depth_delta1"] == found["depth_delta1_unaligned"] == 1
    assert found["depth_temporal_gradient_error"] == pytest.approx(0, abs=1e-7)
    assert found["depth_flow_error"] == pytest.approx(0.02, abs=1e-6), "it does come closer"


def test_names_of_entities_do_not_matter():
    renamed = np.array([0, 9, 3, 1, 5], np.uint16)[entities()]
    assert seg(renamed) == seg(entities())


def test_ids_that_are_exchanged_midway_are_seen_by_tubes_and_along_the_flow():
    swapped = entities()
    swapped[2:] = np.array([0, 2, 1, 4, 3], np.uint16)[swapped[2:]]
    found = seg(swapped)
    assert found["entity_tube_iou"] < 0.6 and found["entity_tube_pq"] < 0.3
    assert found["entity_flow_iou"] < 0.7 and found["entity_fragments"] == 1
    assert found["entity_color_purity"] == 1, "each id has its colour"


def test_shuffled_frames_cost_and_one_corrupted_frame_costs_its_share():
    shuffled = entities()[[3, 0, 2, 1]]
    assert seg(shuffled)["solid_tube_iou"] < 1 and seg(shuffled)["entity_flow_iou"] < 1
    corrupted = entities()
    corrupted[1] = 0
    found = seg(corrupted)
    assert found["entity_j"] == pytest.approx(3 / 4) and found["entity_unassigned"] == 1 / 4
    assert found["entity_flow_iou"] == pytest.approx(1 / 3, abs=0.02) and found["entity_fragments"] == 1


def test_empty_masks_and_one_entity():
    nothing = np.zeros_like(entities())
    found = seg(nothing)
    assert [found[key] for key in AGREEMENT] == [0] * 6 and found["entity_unassigned"] == 1
    assert not {"entity_flow_iou", "entity_color_purity", "entity_fragments"} & set(found), "of nothing"
    assert SEG.compare(entities(), nothing) == {}, "the labeller finds nothing"
    one = np.ones_like(entities())
    found = seg(one, one)
    assert found["entity_j_and_f"] == found["entity_tube_pq"] == found["entity_flow_iou"] == 1
    assert "solid_tube_iou" not in found


def test_reversed_constant_and_flickering_depth():
    reversed_ = figures(DEPTH, 1 - depth(), depth())
    assert reversed_["depth_delta1_unaligned"] < 0.5 < reversed_["depth_delta1"], "a fit may turn it round"
    constant = figures(DEPTH, np.full_like(depth(), 0.5), depth())
    assert constant["depth_flow_error"] == 0 and constant["depth_delta1"] < 0.5
    assert constant["depth_temporal_gradient_error"] == pytest.approx(0.02, abs=1e-6)
    corrupted = depth()
    corrupted[2] = 1 - corrupted[2]
    found = figures(DEPTH, corrupted, depth())
    assert found["depth_flow_error"] > 0.2 and found["depth_temporal_gradient_error"] > 0.1
    assert figures(DEPTH, depth()[[2, 0, 3, 1]], depth())["depth_temporal_gradient_error"] > 0.01
    assert DEPTH.compare(depth(), np.zeros_like(depth())) == {}, "no disparity to compare with"
    flat = DEPTH.compare(depth(), np.full_like(depth(), 0.5))
    assert "depth_temporal_gradient_error" not in flat and 0 < flat["depth_delta1"] <= 1


def test_one_frame_has_what_needs_no_other():
    still = FollowedFlow(np.zeros((0, SIZE, SIZE, 2), np.float32), np.zeros((0, SIZE, SIZE), bool))
    assert (
        set(SEG.compare(entities()[:1], entities()[:1])) == set(AGREEMENT) and SEG.follow(entities()[:1], still) == {}
    )
    found = DEPTH.compare(depth()[:1], depth()[:1])
    assert found["depth_delta1"] == 1 and "depth_temporal_gradient_error" not in found
    assert DEPTH.follow(depth()[:1], still) == {}


def test_depth_that_is_not_finite_is_refused():
    broken = depth()
    broken[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        DEPTH.compare(broken, depth())
    with pytest.raises(ValueError, match="not finite"):
        DEPTH.follow(broken, motion(entities()))


def test_golden_values():
    """Of a made clip: they stay what they were when they were first measured, and were set against plain definitions."""
    rng = np.random.default_rng(3)
    blocks = rng.integers(0, 6, (FRAMES, 6, 6)).repeat(4, 1).repeat(4, 2).astype(np.uint16)
    mixed = np.where(rng.random(blocks.shape) < 0.8, entities(), blocks).astype(np.uint16)
    assert seg(mixed) == pytest.approx(GOLDEN_SEG, abs=1e-9)
    noisy = np.clip(depth() + rng.normal(0, 0.1, depth().shape), 0, 1)
    assert figures(DEPTH, noisy, depth()) == pytest.approx(GOLDEN_DEPTH, abs=1e-6)


GOLDEN_SEG = {
    "entity_tube_iou": 0.6285375730785202,
    "entity_tube_pq": 0.47197919775001257,
    "entity_j": 0.6337624111504918,
    "entity_f": 0.5256454427715467,
    "entity_j_and_f": 0.5797039269610192,
    "solid_tube_iou": 0.4515322076297686,
    "entity_flow_iou": 0.3721613641511697,
    "entity_fragments": 11.35,
    "entity_unassigned": 0.02560763888888884,
    "entity_color_purity": 1.0,
}
GOLDEN_DEPTH = {
    "depth_delta1": 0.720920138888889,
    "depth_rmse": 0.0915753726996198,
    "depth_abs_rel": 0.19292096394168207,
    "depth_temporal_gradient_error": 0.09852101847109411,
    "depth_delta1_unaligned": 0.69140625,
    "depth_rmse_unaligned": 0.09769772778387686,
    "depth_abs_rel_unaligned": 0.20347234694080232,
    "depth_flow_error": 0.11454212062329817,
}


@pytest.mark.parametrize("name", TASKS)
def test_what_a_figure_is_set_against_is_what_makes_it(name):
    task = TASKS[name]
    against = {figure.key: figure.against for figure in task.figures["generated"]}
    ids = entities()
    stored = ids if task.labels == "entities" else np.rint(depth() * 65535).astype(np.uint16)
    prediction = task.from_labels(stored, task.Options())
    colormap = task.encode(prediction, task.colormaps[0], task.Options(), np.random.default_rng(0))
    assert {against[key] for key in task.compare(prediction, prediction)} == {"labels"}
    assert {against[key] for key in task.follow(prediction, motion(ids))} <= {"motion"}
    alone, painted = task.inspect(prediction), task.inspect(prediction, colormap)
    assert {against[key] for key in alone} <= {"nothing"}
    assert {against[key] for key in set(painted) - set(alone)} <= {"colormap"}
