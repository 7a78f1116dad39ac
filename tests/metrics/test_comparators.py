"""Several labellers set beside a prediction: each gets its own figures, where it labelled the clip."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.jobs import CompareSamples
from udpdiff.metrics.comparison import compare_samples, read_comparisons
from udpdiff.storage.shards import ShardWriter
from udpdiff.video_io import encode_mp4

RAMP = np.broadcast_to(np.linspace(1000, 65535, 16).astype(np.uint16), (3, 8, 16)).copy()
VIDEO = np.repeat(RAMP[..., None] // 256, 3, axis=-1).astype(np.uint8)
STEPS = np.sort(RAMP // 8000 * 8000, axis=2) + np.uint16(1000)


def shard(path, schema, dataset, labels, attrs=None, **others):
    with ShardWriter(path, schema, attrs or {}) as writer:
        for clip_id, array in labels.items():
            writer.add(clip_id, {dataset: array, **others})
    return path


@pytest.mark.parametrize("order", [("exact", "stepped", "upside_down"), ("upside_down", "exact", "stepped")])
def test_each_labeller_has_figures_of_its_own(tmp_path, order):
    labels = {"exact": {"a": RAMP, "b": RAMP}, "stepped": {"a": STEPS}, "upside_down": {"a": RAMP[:, :, ::-1].copy()}}
    predictions = shard(
        tmp_path / "predictions.h5",
        "predictions",
        "prediction",
        {"a": STEPS, "b": RAMP},
        {"run": "multi", "task": "depth", "fps": 8},
        dense_mp4=encode_mp4(VIDEO, 8),
        prompt="a ball",
    )
    texts = dict.fromkeys(("brief", "detailed", "source_id", "source_sha256", "record_sha256"), "")
    attrs = {"height": 8, "width": 16, "num_frames": 3, "fps": 8, "source": "test"}
    clips = shard(
        tmp_path / "clips.h5", "clips", "video_mp4", dict.fromkeys("ab", encode_mp4(VIDEO, 8)), attrs, **texts
    )
    reference = shard(tmp_path / "judge.h5", "depth", "depth", {"a": RAMP, "b": RAMP})
    others = [shard(tmp_path / f"{name}.h5", "depth", "depth", labels[name]) for name in order]
    job = CompareSamples(task="depth", options={}, judge="judge", comparators=order)
    compare_samples(job, predictions, clips, reference, tmp_path / "compared.h5", others)
    figures = read_comparisons([tmp_path / "compared.h5"]).clips
    first = figures["a"]
    assert first["exact_depth_delta1"] == first["exact_depth_delta1_unaligned"] == 1
    assert first["exact_depth_rmse"] == pytest.approx(0, abs=1e-6)
    assert first["stepped_depth_rmse"] == pytest.approx(first["depth_rmse"]) and 0.01 < first["depth_rmse"] < 0.1
    assert first["upside_down_depth_delta1_unaligned"] < 0.3
    assert {name for name in figures["b"] if name.endswith("depth_rmse")} == {"depth_rmse", "exact_depth_rmse"}
