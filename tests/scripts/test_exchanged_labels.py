"""The judge's labels exchanged between videos, over all entities and over solids: from the comparing script to a goal."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hand_made_shards import compare

from udpdiff.metrics.comparison import read_comparisons
from udpdiff.metrics.evaluate import evaluate_dense
from udpdiff.report import quality
from udpdiff.storage.sealed import write_record
from udpdiff.tasks import get_task

PARTS = {"entity_tube_iou": "entity_labels_shuffled", "solid_tube_iou": "solid_labels_shuffled"}


def scene(column, size=16):
    """Ground, backdrop, and one solid of 4 x 4 pixels at a column."""
    ids = np.zeros((5, size, size), np.uint16)
    ids[:, :8], ids[:, 8:] = 1, 2
    ids[:, 4:8, column : column + 4] = 3
    return ids


SCENES = {"a": scene(1), "b": scene(5), "c": scene(9)}


def test_labels_are_exchanged_as_predictions_are(tmp_path, monkeypatch):
    """Predictions that are the labels: both controls agree; videos without labels exchange none."""
    found = read_comparisons([compare(tmp_path / "same", monkeypatch, "seg", SCENES, SCENES)])
    for row in found.clips.values():
        for figure, control in PARTS.items():
            assert row[figure] == 1 and row[f"{figure}_shuffled"] == row[control] < 1
        backdrop = 16 / (8 * 16 - 16)
        assert row["solid_labels_shuffled"] == pytest.approx(backdrop), "no solid lies where another does"
        assert row["entity_labels_shuffled"] > 0.5, "ground and backdrop do"
    nothing = dict.fromkeys(SCENES, np.zeros_like(SCENES["a"]))
    labelled = {name: SCENES[name] for name in "ac"}
    found = read_comparisons([compare(tmp_path / "one", monkeypatch, "seg", nothing, labelled, rejected=["b"])])
    assert found.clips["a"]["entity_tube_iou_shuffled"] == 0, "predictions that show nothing"
    ground = get_task("seg").compare(SCENES["c"], SCENES["a"])["entity_tube_iou"]
    assert found.clips["a"]["entity_labels_shuffled"] == pytest.approx(ground), "of the other labelled video alone"


def test_the_share_of_the_possible_gain_and_its_goal(tmp_path, monkeypatch):
    """Perfect predictions have all of it, exchanged ones nothing, and half of the videos right about half."""
    exchanged = dict(zip(SCENES, [SCENES[name] for name in "bca"], strict=True))
    shares = {}
    for name, predicted in {"perfect": SCENES, "exchanged": exchanged, "mixed": exchanged | {"a": SCENES["a"]}}.items():
        comparison = compare(tmp_path / name, monkeypatch, "seg", predicted, SCENES)
        figures = collected(tmp_path / name, comparison, ceiling=1.0)
        assert figures["generated.entity_labels_shuffled"] < 1
        shares[name] = figures["generated.solid_tube_iou_normalised"]
        (verdict,) = quality.judge(figures, ["generated.entity_tube_iou_normalised >= 0.45"])
        assert verdict["met"] is (name == "perfect")
    assert shares["perfect"] == pytest.approx(1) and shares["exchanged"] <= 0 < shares["mixed"] < 0.5


def test_without_a_ceiling_or_room_below_it_there_is_no_share(tmp_path, monkeypatch):
    comparison = compare(tmp_path, monkeypatch, "seg", SCENES, SCENES)
    goal = "generated.entity_tube_iou_normalised >= 0.45"
    for ceiling in (None, 0.1):
        figures = collected(tmp_path, comparison, ceiling)
        assert quality.judge(figures, [goal])[0]["met"] is None
        assert figures["generated.entity_tube_iou"] == 1


def collected(folder, comparison, ceiling):
    """quality.json of a run that was so compared, and of a codec with one ceiling for every clip, none for None."""
    rows = read_comparisons([comparison]).clips.values()
    metrics = evaluate_dense(get_task("seg"), rows, labeller="judge", bootstrap_samples=50)
    write_record(folder / "quality.json", {"run": "multi", "task": "seg", "metrics": metrics})
    found = {"value": ceiling, "low": None, "high": None, "n": 4, "per_video": [ceiling] * 4}
    codec = {} if ceiling is None else dict.fromkeys(["vae_entity_miou", "vae_solid_miou"], found)
    write_record(folder / "codec.json", {"metrics": codec})
    figures = quality.collect([folder / "quality.json", folder / "codec.json"], "multi", bootstrap_samples=50)
    return json.loads(json.dumps(figures, allow_nan=False))
