"""Measuring at the paper's scale fits 16 GB: arrays held do not grow with the clips, and those of one clip are counted.

tracemalloc sees every array of numpy. The peak at two sizes of clips gives its growth by pixel, and with that the peak at
49 x 480 x 720. What torch holds beside it is one batch of the extractors (8 videos at their input size, 224: 0.3 GB).
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hand_made_shards import GENERATED, clips, labels, pictures, predictions, shard, use_stub

from udpdiff import jobs
from udpdiff.metrics.comparison import compare_labels, compare_round_trips, compare_samples
from udpdiff.metrics.evaluate import evaluate_videos
from udpdiff.metrics.feature_shards import VideoSet, extract_features
from udpdiff.storage.shards import ShardWriter
from udpdiff.storage.summaries import read_summary, write_summary

LIMIT = 16e9
SMALL, LARGE, PAPER = (5, 32, 48), (7, 64, 80), (49, 480, 720)
TRAINING_CLIPS, PROMPTS = 300_000, 1024


def depth_values(count: int, size) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    smooth = np.linspace(0, 1, size[2])[None, None] * np.ones(size)
    return {
        f"clip {number}": (np.clip(smooth + rng.normal(0, 0.02, size), 0, 1) * 65535).astype(np.uint16)
        for number in range(count)
    }


def entity_values(count: int, size) -> dict[str, np.ndarray]:
    """Twelve entities in bands, which drift."""
    columns = np.arange(size[2])[None, None] + np.arange(size[0])[:, None, None]
    bands = (columns * 12 // size[2] % 12 + 1) * np.ones(size)
    return {f"clip {number}": np.roll(bands, number, axis=2).astype(np.uint16) for number in range(count)}


def comparing(task: str) -> Callable[[Path, int, tuple], Callable[[], None]]:
    """A job of compare_samples; every clip is also set against four others and, for depth, a constant."""

    def prepare(folder: Path, count: int, size) -> Callable[[], None]:
        kind, made = ("depth", depth_values) if task == "depth" else ("entities", entity_values)
        values = made(count, size)
        reference = labels(folder / kind / "judge" / task / "0.h5", values)
        predicted = predictions(folder / "dense.h5", values, task)
        job = jobs.CompareSamples(task=task, options={}, judge="judge")
        videos = clips(folder / "clips.h5", pictures(values, task), size[0])
        return lambda: compare_samples(job, predicted, videos, reference, folder / "compared.h5")

    return prepare


def label_quality(folder: Path, count: int, size) -> Callable[[], None]:
    depth, ids = depth_values(count, size), entity_values(count, size)
    camera = np.broadcast_to(np.eye(4, dtype=np.float32), (size[0], 4, 4)).copy()
    rows = {
        name: {
            "entity_ids": ids[name],
            "z": (1 + depth[name] / 65535).astype(np.float32),
            "flow": np.zeros((size[0] - 1, *size[1:], 2), np.float16),
            "normals": np.full((*size, 3), 0.577, np.float16),
            "camera": camera,
        }
        for name in ids
    }
    truth = shard(folder / "truth" / "evaluation" / "0.h5", "truth", rows)
    found = {
        "entities": [labels(folder / "entities" / "judge" / "evaluation" / "0.h5", ids)],
        "depth": [labels(folder / "depth" / "judge" / "evaluation" / "0.h5", depth)],
    }
    return lambda: compare_labels([truth], found, {"seg": {}, "depth": {}})


def codec_quality(folder: Path, count: int, size) -> Callable[[], None]:
    found = {
        "entities": [labels(folder / "entities" / "judge" / "evaluation" / "0.h5", entity_values(count, size))],
        "depth": [labels(folder / "depth" / "judge" / "evaluation" / "0.h5", depth_values(count, size))],
    }
    return lambda: compare_round_trips(
        found, {"seg": {}, "depth": {}}, lambda colormaps: colormaps.copy(), batch_clips=1, seed=0
    )


def extraction(folder: Path, count: int, size) -> Callable[[], None]:
    """Four videos at once, as the stub has it; the extractors of the paper's preset take eight."""
    rng = np.random.default_rng(0)
    videos = {f"clip {number}": rng.integers(0, 256, (*size, 3), np.uint8) for number in range(count)}
    source = clips(folder / "clips.h5", videos, size[0])
    return lambda: extract_features(source, folder / "features.h5", GENERATED)


JOBS = {
    "compare_samples depth": comparing("depth"),
    "compare_samples seg": comparing("seg"),
    "label_quality": label_quality,
    "codec_quality": codec_quality,
    "extract_features": extraction,
}


def peak_bytes(call: Callable[[], object]) -> int:
    """The most that numpy and Python hold at a time while the call runs, beyond what was held before."""
    gc.collect()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("name", JOBS)
def test_a_job_holds_no_more_for_more_clips_and_fits_at_the_papers_size(name, tmp_path, monkeypatch):
    use_stub(monkeypatch)
    prepare = JOBS[name]
    prepare(tmp_path / "first", 4, SMALL)()  # tables and modules that stay are made once
    few = peak_bytes(prepare(tmp_path / "few", 4, LARGE))
    many = peak_bytes(prepare(tmp_path / "many", 8, LARGE))
    one_clip = np.prod(LARGE) * 2  # as stored; four rows of figures and features are less than two of these
    assert many < few + 2 * one_clip, "four clips more are held, and not their figures alone"
    small = peak_bytes(prepare(tmp_path / "small", 4, SMALL))
    by_pixel = (few - small) / (np.prod(LARGE) - np.prod(SMALL))
    at_the_papers_size = few + by_pixel * (np.prod(PAPER) - np.prod(LARGE))
    batches = 2 if name == "extract_features" else 1
    print(f"{name}: {by_pixel:.0f} bytes a pixel of a clip, {batches * at_the_papers_size / 1e9:.2f} GB")
    assert by_pixel > 1, "the count sees nothing"
    assert batches * at_the_papers_size < LIMIT


def videos_of(count: int, dimensions: int, seed: int) -> VideoSet:
    rng = np.random.default_rng(seed)
    names = {"video": "v", "subject": "s", "image": "i", "interpolator": "b"}
    scores = [
        {"subject_consistency": 0.9, "background_consistency": 0.9, "motion_smoothness_blend": 0.9}
        for _ in range(count)
    ]
    return VideoSet(
        [f"clip {number}" for number in range(count)],
        rng.normal(size=(count, dimensions)),
        scores,
        np.full(count, 49),
        names,
        "motion_smoothness_blend",
    )


def test_joining_figures_of_all_prompts_is_small():
    """Figures and features are joined in one job; its arrays grow with the square of the prompts at most."""

    def peak(count: int) -> int:
        sets = videos_of(count, 64, 0), videos_of(count, 64, 1)
        return peak_bytes(lambda: evaluate_videos(*sets, bootstrap_samples=20))

    peak(32)
    few, many = peak(64), peak(128)
    assert many < 4.5 * few
    assert many * (PROMPTS / 128) ** 2 < LIMIT / 4


def test_the_figures_of_all_training_clips_fit_the_reports_job(tmp_path):
    """The report reads a summary of every shard of clips and of the judges' labels."""
    values = {f"clip number {number:09d}": array for number, array in enumerate(entity_values(20, SMALL).values())}
    scores = {"entities": 12.0, "coverage": 0.9, "others": 0.1, "more": 0.2, "still": 0.3, "last": 0.4}
    path = tmp_path / "entities" / "judge" / "train" / "0.h5"
    with ShardWriter(path, "entities", {}) as writer:
        for name, array in values.items():
            writer.add(name, {"entity_ids": array}, scores)
    write_summary(path, tmp_path / "0.json")
    kept = []
    held = peak_bytes(lambda: kept.extend(read_summary(tmp_path / "0.json") for _ in range(10)))
    folders = 3
    assert held / (10 * len(values)) * folders * TRAINING_CLIPS < LIMIT / 4
