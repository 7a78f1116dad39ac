"""Controls of the figures of what was generated: exchanged predictions, the labels' own figures, and who made what."""

from __future__ import annotations

import numpy as np
import pytest
from hand_made_shards import compare, ramps

from udpdiff.measures.optical_flow import FLOW_METHOD, followed_flow
from udpdiff.metrics.comparison import read_comparisons
from udpdiff.metrics.evaluate import evaluate_dense
from udpdiff.metrics.registry import describe
from udpdiff.storage.shards import ShardReader
from udpdiff.tasks import get_task
from udpdiff.video_io import decode_mp4

SEG, DEPTH = get_task("seg"), get_task("depth")


def scene(column, size=16, frames=5):
    """Ground, backdrop, and a solid of 4 x 4 pixels that moves right from a column."""
    ids = np.zeros((frames, size, size), np.uint16)
    ids[:, :8], ids[:, 8:] = 1, 2
    for frame in range(frames):
        ids[frame, 4:8, column + frame : column + frame + 4] = 3
    return ids


def split_labels():
    """Labels that leave a gap in the ground, which parts it in two."""
    labels = {name: each.copy() for name, each in SCENES.items()}
    for each in labels.values():
        each[:, 8:, 7] = 0
    return labels


SCENES = {"a": scene(1), "b": scene(4), "c": scene(7)}


def test_every_figure_has_its_controls_and_the_labels_have_their_own(tmp_path, monkeypatch):
    labels = split_labels()
    found = read_comparisons([compare(tmp_path, monkeypatch, "seg", SCENES, labels)]).clips
    with ShardReader(tmp_path / "seg.clips.h5") as clips:
        videos = {name: decode_mp4(clips.read(name, "video_mp4")) for name in SCENES}
    for name, row in found.items():
        motion, others = followed_flow(videos[name]), [SCENES[other] for other in SCENES if other != name]
        for figure in ("entity_tube_pq", "entity_j_and_f", "entity_j", "entity_f"):
            exchanged = [SEG.compare(other, labels[name])[figure] for other in others]
            assert row[f"{figure}_shuffled"] == pytest.approx(np.mean(exchanged)) and np.mean(exchanged) < row[figure]
        exchanged = [SEG.follow(other, motion)["entity_flow_iou"] for other in others]
        assert row["entity_flow_iou_shuffled"] == pytest.approx(np.mean(exchanged))
        assert row["entity_flow_iou"] == SEG.follow(SCENES[name], motion)["entity_flow_iou"]
        assert row["entity_flow_iou_labels"] == SEG.follow(labels[name], motion)["entity_flow_iou"]
        assert (row["entity_fragments"], row["entity_fragments_labels"]) == (1, pytest.approx(4 / 3))
        assert (row["entity_unassigned"], row["entity_unassigned_labels"]) == (0, 8 / 256)
        assert 0.7 < row["entity_color_purity"] < 1 and "entity_color_purity_labels" not in row
        assert not {"entity_fragments_shuffled", "entity_j_labels", "entity_color_purity_shuffled"} & set(row)
        assert {describe(key).key for key in row} == set(row)


def test_what_made_each_figure_is_said(tmp_path, monkeypatch):
    depths = ramps(3)
    other = [("other", depths, [])]
    path = compare(tmp_path, monkeypatch, "depth", ramps(3, noise=0.02), depths, comparators=other)
    rows = read_comparisons([path]).clips.values()
    metrics = evaluate_dense(DEPTH, rows, labeller="judge", comparators=["other"], bootstrap_samples=10)
    made_by = {name: metric["extractor"] for name, metric in metrics.items()}
    assert made_by["depth_rmse_shuffled"] == made_by["depth_temporal_gradient_error"] == "judge"
    assert made_by["depth_flow_error"] == made_by["depth_flow_error_shuffled"] == FLOW_METHOD
    assert made_by["depth_flow_error_labels"] == f"judge against {FLOW_METHOD}"
    assert made_by["other_depth_flow_error"] == f"other against {FLOW_METHOD}"
    assert made_by["other_depth_rmse"] == "other against judge"
    assert metrics["depth_flow_error_labels"]["value"] == metrics["other_depth_flow_error"]["value"], "the same labels"
    assert metrics["depth_flow_error"]["value"] > 2 * metrics["depth_flow_error_labels"]["value"], "noise"
    rows = read_comparisons([compare(tmp_path, monkeypatch, "seg", SCENES, SCENES)]).clips.values()
    metrics = evaluate_dense(SEG, rows, labeller="judge", bootstrap_samples=10)
    assert metrics["entity_color_purity"]["extractor"] == "the colormap alone"
    assert metrics["entity_fragments"]["extractor"] == "the prediction alone"
    assert metrics["entity_fragments_labels"]["extractor"] == "judge"
