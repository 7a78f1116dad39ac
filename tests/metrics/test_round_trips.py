"""What a colormap loses by itself is told from what the VAE loses on top."""

from __future__ import annotations

import numpy as np

from udpdiff.jobs import CodecQuality
from udpdiff.metrics.comparison import compare_round_trips
from udpdiff.metrics.evaluate import evaluate_round_trips
from udpdiff.storage.shards import ShardWriter


def write(path, schema, dataset, labels):
    path.parent.mkdir(parents=True, exist_ok=True)
    with ShardWriter(path, schema) as writer:
        for number, array in enumerate(labels):
            writer.add(f"clip {number}", {dataset: array})
    return path


def test_figures_before_and_after_the_vae_and_so_many_clips(tmp_path):
    ramp = np.broadcast_to(np.linspace(2000, 65535, 32).astype(np.uint16), (2, 24, 32)).copy()
    ids = np.ones((2, 24, 32), np.uint16)
    ids[:, :, 16:] = 2
    ids[:, 12:, 8:20] = 7
    paths = {
        "depth": [write(tmp_path / f"depth/a/train/{i}.h5", "depth", "depth", [ramp, ramp]) for i in range(2)],
        "entities": [write(tmp_path / "entities/a/train/0.h5", "entities", "entity_ids", [ids] * 3)],
    }
    tasks, seen = {"seg": {}, "depth": {}, "normals": {}}, []

    def through_vae(colormaps):
        seen.append(colormaps.shape)
        return np.full_like(colormaps, 128)  # one grey: nothing is left

    found = compare_round_trips(paths, tasks, through_vae, batch_clips=2, seed=0, max_clips=3)
    assert {name: len(values) for name, values in found.items()} == {
        "spectral_max_abs_error": 3,
        "vae_depth_delta1": 3,
        "normals_rgb_max_degrees": 3,
        "vae_normals_within_30": 3,
        "pixelplanes_exact_share": 3,
        "vae_entity_miou": 3,
        "vae_solid_miou": 3,
    }
    # Of each task two clips, then one, that of the next shard or what is left of a batch.
    assert seen == [(2, 2, 24, 32, 3), (1, 2, 24, 32, 3)] * 3
    assert found["pixelplanes_exact_share"] == [1, 1, 1] and max(found["vae_entity_miou"]) < 0.5
    assert max(found["spectral_max_abs_error"]) < 0.002 and max(found["vae_depth_delta1"]) < 0.7
    assert max(found["normals_rgb_max_degrees"]) < 1
    whole = compare_round_trips(paths, tasks, lambda colormaps: colormaps, batch_clips=4, seed=0)
    assert len(whole["vae_depth_delta1"]) == 4 and set(whole["vae_depth_delta1"]) == {1}
    assert whole["vae_entity_miou"] == [1, 1, 1]


def test_a_clip_without_depth_or_entities_has_no_figure_after_the_vae_and_ends_no_job(tmp_path):
    """Labellers store a clip of one depth as zeros, and a clip may hold nothing but stray pixels."""
    ramp = np.broadcast_to(np.linspace(2000, 65535, 32).astype(np.uint16), (2, 24, 32)).copy()
    ids = np.ones((2, 24, 32), np.uint16)
    stray = np.zeros_like(ids)
    stray[0, 0, :3] = 4
    paths = {
        "depth": [write(tmp_path / "depth/a/evaluation/0.h5", "depth", "depth", [ramp, np.zeros_like(ramp)])],
        "entities": [write(tmp_path / "entities/a/evaluation/0.h5", "entities", "entity_ids", [ids, stray])],
    }
    tasks = {"seg": {}, "depth": {}, "normals": {}}
    found = compare_round_trips(paths, tasks, lambda colormaps: colormaps, batch_clips=2, seed=0)
    assert len(found["spectral_max_abs_error"]) == len(found["pixelplanes_exact_share"]) == 2
    assert len(found["vae_depth_delta1"]) == len(found["vae_entity_miou"]) == 1
    job = CodecQuality(base="a", dtype="float32", max_clips=2, batch_clips=2, seed=0, bootstrap_samples=20, tasks=tasks)
    metrics = evaluate_round_trips(job, found)["metrics"]
    assert (metrics["vae_depth_delta1"]["value"], metrics["vae_depth_delta1"]["n"]) == (1, 1)
    assert (metrics["vae_entity_miou"]["value"], metrics["vae_entity_miou"]["n"]) == (1, 1)
