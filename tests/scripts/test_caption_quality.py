"""Captions against the truth of scenes, from tables and truth shards to labels.json and the flat figures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hand_made_shards import run, shard

from udpdiff import jobs
from udpdiff.checkpoints import resolve
from udpdiff.files import file_sha256
from udpdiff.metrics.registry import CAPTIONER, CAPTIONS, describe, label_figures
from udpdiff.report import quality
from udpdiff.sources.scene_captions import detailed
from udpdiff.sources.scenes import SceneSettings, render_clip
from udpdiff.storage.captions import Caption, CaptionWriter

SETTINGS = SceneSettings(32, 32, 5, 8.0, max_solids=2, solid_size=1.4)


@pytest.fixture
def document(tmp_path, monkeypatch):
    """labels.json of four scenes: one described rightly, one with a wrong motion, one with nothing, one refused."""
    scenes = [render_clip(SETTINGS, seed) for seed in range(4)]
    exact = ("entity_ids", "z", "flow", "normals", "camera")
    rows = {
        f"scene {index}": {name: getattr(clip, name) for name in exact} | {"scene": json.dumps(clip.scene)}
        for index, clip in enumerate(scenes)
    }
    truth = shard(tmp_path / "truth/evaluation/0.h5", "truth", rows)
    entities = shard(
        tmp_path / "entities/own/evaluation/0.h5",
        "entities",
        {name: {"entity_ids": row["entity_ids"]} for name, row in rows.items()},
    )
    depth = shard(
        tmp_path / "depth/own/evaluation/0.h5",
        "depth",
        {name: {"depth": np.linspace(0, 65535, 5 * 32 * 32).reshape(5, 32, 32).astype(np.uint16)} for name in rows},
    )
    solids = scenes[1].scene["solids"]
    still = [solid | {"action": "wobbles", "heading": ""} for solid in solids]
    words = [
        detailed(scenes[0].scene),
        " ".join(f"A {solid['color']} {solid['shape']} {solid['action']}." for solid in still),
        "Nothing is there.",
    ]
    with CaptionWriter(tmp_path / "captions/evaluation/0.parquet", {}) as table:
        for index, text in enumerate(words):
            own = Caption(text, "mini:captioner", 20 + index)
            table.add(f"scene {index}", own, own, detailed(scenes[index].scene))
        table.reject("scene 3", "empty caption")
    judges = {"entities": "own", "depth": "own", CAPTIONS: CAPTIONER}
    run(
        "label_quality",
        monkeypatch,
        job=jobs.LabelQuality(seed=0, bootstrap_samples=20, judges=judges, tasks={"seg": {}, "depth": {}}),
        truth=[truth],
        entities=[entities],
        depth=[depth],
        captions=[tmp_path / "captions/evaluation/0.parquet"],
        quality=tmp_path / "labels.json",
    )
    return tmp_path / "labels.json", json.loads((tmp_path / "labels.json").read_text())


def test_captions_are_measured_beside_the_labels(document):
    path, found = document
    captioner = file_sha256(Path(resolve("mini:captioner")) / "model.safetensors")
    told = found["provenance"]["networks"]["captioner"]
    assert told == [{"name": "mini:captioner", "sha256": captioner}]
    rows = found["variants"][CAPTIONS]
    assert list(rows) == ["captioner", "source", "exchanged"]
    clips = rows["captioner"]["clips"]
    assert clips["scene 0"]["caption_attributes"] == clips["scene 0"]["caption_solids"] == 1
    assert clips["scene 1"]["caption_attributes"] == pytest.approx(2 / 3)
    assert clips["scene 1"]["caption_motions"] == 0 and clips["scene 1"]["caption_inventions"] == 0
    assert clips["scene 2"]["caption_attributes"] == 0 and "caption_inventions" not in clips["scene 2"]
    assert rows["captioner"]["refused"] == {"scene 3": "empty caption"}
    metrics = rows["captioner"]["metrics"]
    assert metrics["caption_tokens"]["value"] == 21 and metrics["caption_refused_share"]["value"] == 0.25
    assert {figure.key for figure in label_figures(CAPTIONS)} == set(metrics)
    assert rows["source"]["metrics"]["caption_attributes"]["value"] == 1
    assert rows["exchanged"]["clips"]["scene 1"]["caption_attributes"] == 0, "of the third clip nothing is said"
    assert rows["source"]["difference"]["caption_attributes"]["value"] == pytest.approx(4 / 9)
    figures = quality.collect([path], None)
    assert figures["labels.caption_attributes"] == pytest.approx(5 / 9), "the captioner's, for goals"
    assert figures["labels.exchanged.caption_motions"] is not None and describe("labels.caption_attributes").label
