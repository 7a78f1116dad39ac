"""The script that sets runs against the base: each pair has its own figures, each run its own log, which is checked."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hand_made_shards import run

from udpdiff.jobs import CompareWithBase
from udpdiff.metrics.against_base import distance_ratios
from udpdiff.metrics.evaluate import quality_document
from udpdiff.metrics.feature_shards import VideoSet
from udpdiff.metrics.set_distances import measure_distances
from udpdiff.storage.errors import StorageError
from udpdiff.storage.sealed import read_record, seal_folder, write_record

JOB = CompareWithBase(base="base", pairs=(("multi", "seg"), ("multi", "depth")))


def measured(folder, run, task, shift):
    """quality.json of videos whose features are that far from the real ones."""
    real, made = (
        VideoSet([f"clip {row}" for row in range(12)], rows, [{}] * 12, np.full(12, 9), {"video": "a network"}, None)
        for rows in np.random.default_rng(shift).normal([[[0.0]], [[shift]]], 1, (2, 12, 4))
    )
    metrics = measure_distances(real, made, seed=5)
    path = folder / "metrics" / run / task / "quality.json"
    path.parent.mkdir(parents=True)
    write_record(path, quality_document(run, task, 5, 12, metrics, {"videos": made.clip_ids}))
    return path, metrics


def trained(folder, loss):
    folder.mkdir(parents=True)
    entry = {"step": 90, "validation": {"loss_video": loss, "loss_video_clip": {"clip 1": loss}}}
    (folder / "train.jsonl").write_text(json.dumps(entry) + "\n")
    seal_folder(folder)
    return folder


def test_pairs_and_runs_are_told_apart_by_what_stands_in_their_files(tmp_path, monkeypatch, capsys):
    found = {
        pair: measured(tmp_path, *pair, shift)
        for shift, pair in enumerate((("multi", "depth"), ("base", "video"), ("multi", "seg")), 1)
    }
    paths = [path for path, _ in found.values()]
    runs = [trained(tmp_path / "runs" / "multi", 0.3), trained(tmp_path / "runs" / "base", 0.2)]
    quality = tmp_path / "against_base.json"
    run("compare_with_base", monkeypatch, job=JOB, measured=paths, runs=runs, quality=quality)
    metrics = read_record(quality)["variants"]["runs"]["multi"]["metrics"]
    for task in ("seg", "depth"):
        for name, ratio in distance_ratios(found["multi", task][1], found["base", "video"][1]).items():
            assert metrics[f"{name}_{task}"]["value"] == pytest.approx(ratio.value)
            assert metrics[f"{name}_{task}"]["low"] == pytest.approx(ratio.low)
    assert metrics["fvd_ratio_seg"]["value"] > 1 > metrics["fvd_ratio_depth"]["value"]
    assert metrics["video_loss_ratio"]["value"] == pytest.approx(1.5)

    # As an earlier version wrote it.
    (runs[0] / "train.jsonl").write_text(json.dumps({"step": 90, "validation": {"loss_video": 0.3}}) + "\n")
    seal_folder(runs[0])
    run("compare_with_base", monkeypatch, job=JOB, measured=paths, runs=runs, quality=quality)
    assert not any("loss" in name for name in read_record(quality)["variants"]["runs"]["multi"]["metrics"])
    assert "multi: its video's validation loss is not comparable with that of base" in capsys.readouterr().err
    (runs[0] / "train.jsonl").write_text("{}")
    with pytest.raises(StorageError):
        run("compare_with_base", monkeypatch, job=JOB, measured=paths, runs=runs, quality=quality)
