"""Curves of the codec: known answers, bins, and what is said of labels and of drawn clips."""

from __future__ import annotations

import json

import numpy as np
import pytest

from udpdiff.metrics.codec_curves import curve_round_trips, measure_curves
from udpdiff.storage.shards import ShardWriter
from udpdiff.tasks import TASKS
from udpdiff.tasks.entity_curve import entity_values

DEPTH = np.full((1, 24, 32), 30000, np.uint16)
TASK_OPTIONS = {"seg": {}, "depth": {}, "normals": {}}


def halves(frames: int = 2) -> np.ndarray:
    ids = np.ones((frames, 24, 32), np.uint16)
    ids[:, :, 16:] = 5
    return ids


@pytest.fixture
def measure(tmp_path):
    def measured(through_vae=lambda colormaps: colormaps, entities=(), depth=(), max_clips=9, **options):
        paths = {}
        for kind, name, clips in (("entities", "entity_ids", entities), ("depth", "depth", depth)):
            path = tmp_path / f"{kind}.h5"
            with ShardWriter(path, kind) as writer:
                for number, clip in enumerate(clips):
                    writer.add(f"clip {number}", {name: clip})
            paths[kind] = [path]
        options = {"batch_clips": 3, "max_clips": max_clips, "seed": 1, "bootstrap_samples": 50} | options
        return measure_curves(paths, TASK_OPTIONS, through_vae, **options)

    return measured


def line(curves: dict, task: str, axis: str, coding: str, source: str, stage: str) -> list[dict]:
    """The points of one line."""
    names = {"axis": axis, "coding": coding, "source": source, "stage": stage}
    return next(each["points"] for each in curves["tasks"][task]["lines"] if names.items() <= each.items())


def test_a_codec_without_loss_keeps_all_entities_but_those_that_share_a_colour(measure):
    curves = measure(entities=[halves()] * 4)
    json.dumps(curves, allow_nan=False)
    assert set(curves["tasks"]) == {"seg", "depth"}, "normals have no curves"
    assert curves["tasks"]["depth"]["lines"] == []
    for coding in ("pixelplanes_0", "pixelplanes_32", "location"):
        (point,) = line(curves, "seg", "entities", coding, "labels", "vae")
        assert (point["from"], point["to"], point["at"], point["count"], point["clips"]) == (2, 3, 2, 8, 4)
        assert (point["low"], point["value"], point["high"]) == (1, 1, 1)
        (size,) = line(curves, "seg", "size", coding, "labels", "colours")
        assert size["at"] == 0.5
    for coding in ("pixelplanes_0", "pixelplanes_32"):
        assert {each["value"] for each in line(curves, "seg", "entities", coding, "drawn", "vae")} == {1}
    shared = line(curves, "seg", "color_distance", "location", "drawn", "colours")
    assert shared[0]["to"] == 1 and shared[0]["value"] < 0.6, "64 cells do not have 64 places of their own"
    assert {each["value"] for each in shared[1:]} == {1}


def test_as_many_clips_go_through_the_vae_as_plans_say(measure):
    passed = []
    measure(
        lambda colormaps: passed.extend(colormaps) or colormaps,
        entities=[halves(1)] * 2,
        depth=[DEPTH] * 3,
        max_clips=2,
    )
    options = {name: TASKS[name].Options() for name in TASK_OPTIONS}
    assert len(passed) == sum(curve_round_trips(TASKS[name], options[name], 2) for name in TASK_OPTIONS)


def test_a_codec_that_keeps_nothing_finds_one_entity_of_two(measure):
    curves = measure(lambda colormaps: np.full_like(colormaps, 128), entities=[halves(frames=1)])
    (point,) = line(curves, "seg", "entities", "pixelplanes_0", "labels", "vae")
    assert (point["value"], point["count"], point["clips"]) == (0.25, 2, 1), "one half of all pixels, and nothing"
    assert point["low"] is None and point["high"] is None, "one clip says nothing of the spread"
    assert line(curves, "seg", "entities", "pixelplanes_0", "labels", "colours")[0]["value"] == 1


def test_axes_hold_the_same_entities_and_bins_their_lower_edge(measure):
    curves = measure(entities=[halves()] * 2)["tasks"]["seg"]
    for coding in curves["codings"]:
        for source, total in (("labels", 4), ("drawn", None)):
            counts = {
                axis: sum(
                    point["count"]
                    for each in curves["lines"]
                    if (each["axis"], each["coding"], each["source"], each["stage"]) == (axis, coding, source, "vae")
                    for point in each["points"]
                )
                for axis in curves["axes"]
            }
            assert len(set(counts.values())) == 1 and (total is None or total in counts.values())
    drawn = [
        (each["from"], each["clips"])
        for each in line({"tasks": {"seg": curves}}, "seg", "entities", "location", "drawn", "vae")
    ]
    assert drawn[:4] == [(3, 2), (5, 2), (9, 2), (17, 2)], "4, 8, 16 and 32 entities"


def test_depth_is_read_along_itself(measure):
    ramp = np.broadcast_to(np.linspace(0, 65535, 24 * 32).round().astype(np.uint16).reshape(24, 32), (2, 24, 32)).copy()
    curves = measure(lambda colormaps: colormaps[:, :, :, ::-1], depth=[ramp] * 20, max_clips=30)
    exact = line(curves, "depth", "depth", "spectral", "labels", "colours")
    assert len(exact) == 10 and max(point["value"] for point in exact) < 0.002
    assert {point["clips"] for point in exact} == {12}, "no more clips than a curve needs"
    assert sum(point["count"] for point in exact) == 12 * 2 * 24 * 32
    mirrored = line(curves, "depth", "depth", "spectral", "labels", "vae")
    assert min(point["value"] for point in mirrored) > 0.005, "rows read from right to left"


def test_an_entity_stands_where_its_size_and_colour_put_it():
    ids = halves()
    ids[0, 0, :3] = 9  # too small to count, yet its colour is one of the clip
    colors = np.zeros((10, 3), np.uint8)
    colors[1], colors[5], colors[9] = (0, 30, 40), (200, 0, 0), (200, 0, 7)
    found = entity_values(ids, colors[ids], np.where(ids == 5, 2, 0), min_pixels=12)
    np.testing.assert_allclose(found.values, [0, 1])
    np.testing.assert_allclose(found.positions["size"], [(768 - 3) / 1536, 0.5])
    np.testing.assert_allclose(found.positions["color_distance"], [50, 7])
    np.testing.assert_array_equal(found.positions["entities"], [2, 2])


@pytest.mark.parametrize("ids", [np.zeros((1, 8, 8), np.uint16), np.ones((1, 8, 8), np.uint16)])
def test_clips_of_no_or_one_entity_add_what_they_have(ids):
    found = entity_values(ids, np.full((1, 8, 8, 3), 90, np.uint8) * ids[..., None].astype(np.uint8), ids, 12)
    assert len(found.values) == ids.max() == len(found.positions["color_distance"])


def test_drawn_clips_hold_many_entities():
    drawn = list(TASKS["seg"].drawn((2, 40, 40), np.random.default_rng(0)))
    assert len(drawn) == TASKS["seg"].drawn_clips
    assert [len(np.unique(ids)) for ids in drawn[:6]] == [4, 4, 8, 8, 16, 16]
    assert all(ids.dtype == np.uint16 and ids.min() >= 1 for ids in drawn)
