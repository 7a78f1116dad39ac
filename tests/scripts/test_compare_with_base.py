"""The script that sets runs against the base: each pair has its own shards, each run its own log, which is checked."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hand_made_shards import run

from udpdiff.jobs import CompareWithBase
from udpdiff.metrics.against_base import distance_ratios
from udpdiff.storage.errors import StorageError
from udpdiff.storage.sealed import read_record, seal_folder
from udpdiff.storage.shards import ShardWriter

JOB = CompareWithBase(base="base", pairs=(("multi", "seg"), ("multi", "depth")), seed=5)
NETWORKS = {"names": {"video": "a network"}, "smoothness": None, "num_frames": 9}


def features(path, array, first=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    with ShardWriter(path, "features", NETWORKS) as shard:
        for index, row in enumerate(array):
            shard.add(f"clip {first + index}", {"video_features": row})
    return path


def trained(folder, loss):
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_text(json.dumps({"step": 90, "validation": {"loss_video": loss}}) + "\n")
    seal_folder(folder)
    return folder


def test_pairs_and_runs_are_told_apart_by_their_folders(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    arrays = {
        pair: rng.normal(shift, 1, (12, 4))
        for shift, pair in enumerate(("real", "base/video", "multi/seg", "multi/depth"))
    }
    paths = []
    for pair in ("multi/depth", "base/video", "multi/seg"):
        folder = tmp_path / "features" / "samples" / pair
        paths += [features(folder / "0.h5", arrays[pair][:7]), features(folder / "1.h5", arrays[pair][7:], first=7)]
    real = features(tmp_path / "features" / "evaluation" / "0.h5", arrays["real"])
    runs = [trained(tmp_path / "runs" / "multi", 0.3), trained(tmp_path / "runs" / "base", 0.2)]
    quality = tmp_path / "against_base.json"
    run("compare_with_base", monkeypatch, job=JOB, features=paths, reference=[real], runs=runs, quality=quality)
    metrics = read_record(quality)["variants"]["runs"]["multi"]["metrics"]
    expected = distance_ratios(
        arrays["real"], arrays["base/video"], [arrays["multi/seg"], arrays["multi/depth"]], seed=5
    )
    for task, found in zip(("seg", "depth"), expected, strict=True):
        for name, ratio in found.items():
            assert metrics[f"{name}_{task}"]["value"] == pytest.approx(ratio.value)
    assert metrics["fvd_ratio_seg"]["low"] == pytest.approx(expected[0]["fvd_ratio"].low)
    assert metrics["video_loss_ratio"]["value"] == pytest.approx(1.5)
    (runs[0] / "train.jsonl").write_text("{}")
    with pytest.raises(StorageError):
        run("compare_with_base", monkeypatch, job=JOB, features=paths, reference=[real], runs=runs, quality=quality)
