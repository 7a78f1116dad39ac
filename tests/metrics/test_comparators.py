"""Several labellers set beside a prediction: each gets its own figures, where it labelled the clip."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.jobs import CompareSamples
from udpdiff.metrics.comparison import compare_samples, read_comparisons
from udpdiff.storage.shards import ShardWriter

RAMP = np.broadcast_to(np.linspace(1000, 65535, 16).astype(np.uint16), (3, 8, 16)).copy()
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
        dense_mp4=b"mp4",
        prompt="a ball",
    )
    reference = shard(tmp_path / "judge.h5", "depth", "depth", {"a": RAMP, "b": RAMP})
    others = [shard(tmp_path / f"{name}.h5", "depth", "depth", labels[name]) for name in order]
    job = CompareSamples(task="depth", options={}, judge="judge", comparators=order)
    compare_samples(job, predictions, reference, tmp_path / "compared.h5", others)
    figures = read_comparisons([tmp_path / "compared.h5"]).clips
    first = figures["a"]
    assert first["exact_depth_delta1"] == first["exact_depth_delta1_unaligned"] == 1
    assert first["exact_depth_rmse"] == pytest.approx(0, abs=1e-6)
    assert first["stepped_depth_rmse"] == pytest.approx(first["depth_rmse"]) and 0.01 < first["depth_rmse"] < 0.1
    assert first["upside_down_depth_delta1_unaligned"] < 0.3
    assert {name for name in figures["b"] if name.endswith("depth_rmse")} == {"depth_rmse", "exact_depth_rmse"}
