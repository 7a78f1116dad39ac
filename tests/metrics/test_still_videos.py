"""A video in which nothing moves scores no perfect smoothness: it is left out, and that is said."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from udpdiff.finite import NotFinite
from udpdiff.jobs import ExtractFeatures
from udpdiff.measures import vbench
from udpdiff.metrics.evaluate import evaluate_videos
from udpdiff.metrics.extractors import load_extractors
from udpdiff.metrics.feature_shards import extract_features, read_features
from udpdiff.storage.sealed import write_record
from udpdiff.storage.shards import ShardWriter
from udpdiff.tables.comparisons import compare_table
from udpdiff.tables.fill import fill_table
from udpdiff.tables.measured import read_measurements
from udpdiff.video_io import decode_mp4, encode_mp4

PROMPTS = ("A red ball slides to the right.", "A cube. " * 30, "", "A wall.")
FIGURES = ("subject_consistency", "background_consistency", "motion_smoothness_blend")
JOB = ExtractFeatures(
    video_encoder="mini:video_encoder",
    subject_encoder="mini:subject_encoder",
    image_encoder="mini:image_encoder",
    interpolator="blend",
    flow="dis",
)


def moving(seed: int) -> np.ndarray:
    """A textured square that goes to the right, uint8 (9, 64, 64, 3)."""
    rng = np.random.default_rng(seed)
    video = np.full((9, 64, 64, 3), 90, np.uint8)
    square = rng.integers(0, 256, (20, 20, 3), np.uint8)
    for frame in range(9):
        video[frame, 10:30, 4 * frame : 4 * frame + 20] = square
    return video


def still(level: int | None = 0) -> np.ndarray:
    """Nine times one frame, of one level or of a ramp."""
    ramp = (np.indices((64, 64)).sum(0)[..., None] * np.array([2, 1, 1])).astype(np.uint8)
    return np.repeat((ramp if level is None else np.full((64, 64, 3), level, np.uint8))[None], 9, axis=0)


def measured(folder, name: str, videos: list[np.ndarray], lossless: bool = True):
    size = {"height": 64, "width": 64, "num_frames": 9, "fps": 8.0, "source": "samples"}
    folder.mkdir(exist_ok=True)
    with ShardWriter(folder / f"{name}.clips.h5", "clips", size) as shard:
        texts = dict.fromkeys(("brief", "detailed", "source_id", "source_sha256", "record_sha256"), "")
        for number, video in enumerate(videos):
            data = {"video_mp4": encode_mp4(video, 8.0, lossless=lossless), "detailed": PROMPTS[number % 4]}
            shard.add(f"{number}", texts | data)
    extract_features(folder / f"{name}.clips.h5", folder / f"{name}.h5", JOB)
    return read_features([folder / f"{name}.h5"])


@pytest.mark.parametrize("lossless", [True, False])
def test_still_videos_are_left_out_and_counted(tmp_path, lossless):
    videos = [moving(0), still(0), moving(1), still(None)]
    generated = measured(tmp_path, "generated", videos, lossless)
    alone = measured(tmp_path, "alone", [videos[0], videos[2]], lossless)
    metrics = evaluate_videos(generated, alone, bootstrap_samples=20)
    expected = evaluate_videos(alone, alone, bootstrap_samples=20)
    for name in FIGURES:
        found = metrics[name]
        assert (found["value"], found["n"]) == (pytest.approx(expected[name]["value"]), 2) and found["value"] < 1
        assert found["per_video"][1] is None and found["per_video"][3] is None
        assert found["extractor"].endswith("; 2 of 4 videos do not move and are left out")
        assert "left out" not in expected[name]["extractor"] and None not in expected[name]["per_video"]
    assert metrics["fvd"]["n"] == 4 and json.dumps(metrics, allow_nan=False)
    degree, share = metrics["dynamic_degree"], metrics["dynamic_share"]
    assert degree["n"] == share["n"] == 4 and "left out" not in degree["extractor"]
    assert degree["per_video"][1] == degree["per_video"][3] == 0 and min(degree["per_video"][::2]) > 0
    assert share["per_video"] == [1, 0, 1, 0], "4 of 64 pixels to the right, in a tenth of the picture"
    real = metrics["dynamic_degree_real"]
    assert real["per_video"] == degree["per_video"][::2] and real["n"] == 2
    assert metrics["prompt_fidelity"]["n"] == 3 and metrics["prompt_fidelity"]["per_video"][2] is None
    assert "1 of 4 prompts are longer" in metrics["prompt_fidelity"]["extractor"]


def test_where_all_are_still_there_is_no_figure(tmp_path):
    generated = measured(tmp_path, "generated", [still(0), still(255)])
    metrics = evaluate_videos(generated, generated, bootstrap_samples=20)
    for name in FIGURES:
        assert metrics[name]["value"] is None and metrics[name]["n"] == 0
        assert "2 of 2 videos do not move" in metrics[name]["extractor"]


def test_a_table_says_so_and_pairs_the_same_videos(tmp_path):
    def figure(values):
        known = [value for value in values if value is not None]
        words = "ViT" if len(known) == len(values) else "ViT; 1 of 4 videos do not move and are left out"
        mean = float(np.mean(known))
        ends = {"value": mean, "low": mean, "high": mean, "n": len(known)}
        return ends | {"per_video": values, "clips": "videos", "extractor": words}

    for run, values in (("seg_location", [0.5, 0.7, None, 0.4]), ("seg", [0.6, None, 0.9, 0.5])):
        document = {"run": run, "task": "seg", "seed": 0, "n": 3, "metrics": dict.fromkeys(FIGURES, figure(values))}
        document["clips"] = {"videos": ["a", "b", "c", "d"]}
        write_record(tmp_path / f"{run}.json", document)
    files = [tmp_path / f"{run}.json" for run in ("seg", "seg_location")]
    measured = read_measurements(files)
    table = fill_table(6, measured)
    assert set(table["subject_consistency_extractor"]) == {"ViT; 1 of 4 videos do not move and are left out"}
    line = compare_table(6, measured)[0]
    assert (line["metric"], line["difference"]) == ("subject_consistency", pytest.approx(10))
    assert (line["n"], line["left_out"]) == (2, 2)


def test_what_is_still():
    ramp = still(None)
    assert vbench.is_still(ramp) and vbench.is_still(decode_mp4(encode_mp4(ramp, 8.0, crf=23)))
    changed = ramp.copy()
    changed[4, 30:34, 30:34] += 10
    assert not vbench.is_still(changed) and not vbench.is_still(moving(0))
    drifting = (np.full((9, 8, 8, 3), 100) + np.arange(9)[:, None, None, None]).astype(np.uint8)
    assert not vbench.is_still(drifting), "each frame is set against the first"


def test_features_and_middle_frames_that_are_not_finite_are_refused():
    extractors = load_extractors(**JOB.model_dump(exclude={"caption"}))
    for part, layer in (
        (extractors.subject, "layernorm"),
        (extractors.image, "vision_model.post_layernorm"),
        (extractors.video, "classifier"),
    ):
        torch.nn.init.constant_(part.model.get_submodule(layer).bias, math.inf)
        with pytest.raises(NotFinite, match="the features of mini:"):
            (part.encode_videos([moving(0)]) if part is extractors.video else part.encode(moving(0)))
    for bad in (math.nan, math.inf):
        with pytest.raises(NotFinite, match="frames that the interpolator gives"):
            vbench.motion_smoothness(moving(0), lambda before, after, bad=bad: np.full_like(before, bad))
