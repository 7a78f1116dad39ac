from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from udpdiff.metrics import evaluate, evaluate_dense, features
from udpdiff.metrics.interpolation import load_interpolator

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


@pytest.fixture(scope="module")
def extractors():
    from transformers import CLIPConfig, CLIPModel, VideoMAEConfig, VideoMAEForVideoClassification, ViTConfig, ViTModel

    torch.manual_seed(0)
    subject = ViTModel(ViTConfig(**SIZES, image_size=16, patch_size=8), add_pooling_layer=False)
    vision, text = SIZES | {"image_size": 16, "patch_size": 8}, SIZES | {"vocab_size": 20}
    image = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))
    video = VideoMAEForVideoClassification(
        VideoMAEConfig(**SIZES, image_size=16, patch_size=8, num_frames=3, tubelet_size=3, num_labels=4)
    )
    return evaluate.Extractors(
        features.SubjectEncoder(subject, "tiny subject"),
        features.ImageEncoder(image, "tiny image"),
        features.VideoEncoder(video, "tiny video"),
        load_interpolator("blend"),
    )


def _drifting_videos(count, seed, speed):
    rng = np.random.default_rng(seed)
    start = rng.integers(30, 200, (count, 1, 16, 16, 3))
    drift = rng.normal(0, speed, (count, 5, 16, 16, 3)).cumsum(1)
    return list(np.clip(start + drift, 0, 255).astype(np.uint8))


def test_video_figures(extractors):
    calm, wild = _drifting_videos(10, 0, 1), _drifting_videos(10, 0, 40)
    reference = _drifting_videos(10, 1, 1)
    good = evaluate.evaluate_videos(calm, reference, extractors, bootstrap_samples=50)
    bad = evaluate.evaluate_videos(wild, reference, extractors, bootstrap_samples=50)
    assert set(good) == {
        "subject_consistency",
        "background_consistency",
        "motion_smoothness_blend",
        "fvd",
        "kvd",
        "fvd_infinity",
        "fvd_floor",
    }
    for name in ("subject_consistency", "background_consistency", "motion_smoothness_blend"):
        assert good[name]["value"] > bad[name]["high"]
        assert len(good[name]["per_video"]) == good[name]["n"] == 10
        assert good[name]["low"] <= good[name]["value"] <= good[name]["high"]
    assert good["fvd"]["value"] < bad["fvd"]["value"]
    assert good["fvd"]["extractor"] == "tiny video logits"
    document = evaluate.quality_document("base", "video", 7, 10, good)
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_equal_sets_are_at_no_distance(extractors):
    videos = _drifting_videos(8, 2, 3)
    metrics = evaluate.evaluate_videos(videos, videos, extractors, bootstrap_samples=20)
    assert metrics["fvd"]["value"] == pytest.approx(0, abs=1e-9)
    assert metrics["kvd"]["value"] < 0


def test_few_videos_give_values_without_intervals(extractors):
    metrics = evaluate.evaluate_videos(
        _drifting_videos(3, 3, 3), _drifting_videos(3, 4, 3), extractors, bootstrap_samples=20
    )
    assert metrics["fvd"]["low"] is None
    assert "fvd_infinity" not in metrics and "fvd_floor" not in metrics


def test_runtime_figures():
    timings = [{"total": 2.0 + index, "text_encoder": 0.1, "transformer": 1.5, "vae": 0.3} for index in range(3)]
    metrics = evaluate.evaluate_runtime(timings, hardware="one core")
    assert metrics["runtime_seconds"]["value"] == 3.0
    assert metrics["runtime_transformer_seconds"]["extractor"] == "one core"


def _depths(count):
    """A ramp per clip whose direction turns from clip to clip."""
    rows, columns = np.mgrid[0:12, 0:12] / 11
    turns = np.linspace(0, 2 * np.pi, count, endpoint=False)
    ramps = [0.5 + 0.35 * (np.cos(turn) * (rows - 0.5) + np.sin(turn) * (columns - 0.5)) * 2 for turn in turns]
    return [np.stack([np.clip(ramp, 0, 1)] * 3).astype(np.float32) for ramp in ramps]


def test_depth_figures_stand_above_their_controls():
    reference = _depths(6)
    noise = np.random.default_rng(0)
    predicted = [np.clip(0.5 * depth + 0.2 + noise.normal(0, 0.01, depth.shape), 0, 1) for depth in reference]
    metrics = evaluate_dense.evaluate_depth(
        predicted, reference, labeller="labeller", comparator=reference, comparator_name="other", bootstrap_samples=50
    )
    assert metrics["depth_delta1"]["low"] > 0.95
    assert metrics["depth_delta1"]["low"] > metrics["depth_delta1_shuffled"]["high"] + 0.2
    assert metrics["depth_delta1"]["low"] > metrics["depth_delta1_constant"]["high"] + 0.2
    gain = metrics["depth_delta1_over_constant"]
    assert gain["value"] == pytest.approx(metrics["depth_delta1"]["value"] - metrics["depth_delta1_constant"]["value"])
    assert 0.2 < gain["low"] < gain["value"] < gain["high"] and gain["n"] == 6
    assert metrics["depth_delta1_unaligned"]["value"] < metrics["depth_delta1"]["value"]
    assert metrics["comparator_depth_delta1_unaligned"]["value"] == 1
    assert metrics["comparator_depth_rmse"]["extractor"] == "other against labeller"


def test_constant_control_takes_the_map_given():
    reference = _depths(4)[:1] * 3
    metrics = evaluate_dense.evaluate_depth(
        reference, reference, labeller="labeller", constant=reference[0][0], bootstrap_samples=20
    )
    assert metrics["depth_delta1_constant"]["value"] == 1
    assert metrics["depth_delta1_shuffled"]["value"] == 1


def test_flat_references_are_left_out():
    flat, ramp = np.zeros((3, 12, 12), np.float32), _depths(1)[0]
    metrics = evaluate_dense.evaluate_depth([ramp, ramp], [flat, ramp], labeller="labeller", bootstrap_samples=20)
    assert (metrics["depth_delta1"]["value"], metrics["depth_delta1"]["n"]) == (1, 1)
    assert "depth_delta1_shuffled" not in metrics
    nothing = evaluate_dense.evaluate_depth([ramp], [flat], labeller="labeller")
    assert nothing["depth_delta1"]["value"] is None


def _entities(offset):
    ids = np.ones((3, 12, 12), np.uint16)
    ids[:, 2:7, offset : offset + 5] = 2
    ids[:, 9:11, offset : offset + 4] = 3
    return ids


def test_entity_figures_stand_above_their_control():
    reference = [_entities(offset) for offset in (0, 2, 5, 7)]
    predicted = [np.roll(ids, 1, 1) * 10 for ids in reference]
    metrics = evaluate_dense.evaluate_entities(predicted, reference, labeller="labeller", bootstrap_samples=50)
    assert metrics["entity_tube_iou"]["low"] > metrics["entity_tube_iou_shuffled"]["value"] + 0.1
    assert metrics["entity_tube_iou_over_shuffled"]["low"] > 0.1
    perfect = evaluate_dense.evaluate_entities(reference, reference, labeller="labeller", bootstrap_samples=50)
    assert perfect["entity_tube_iou"]["value"] == perfect["entity_tube_pq"]["value"] == 1


def test_clips_without_entities_are_left_out():
    empty = np.zeros((3, 12, 12), np.uint16)
    metrics = evaluate_dense.evaluate_entities(
        [_entities(0), empty], [_entities(0), empty], labeller="labeller", bootstrap_samples=20
    )
    assert metrics["entity_tube_iou"]["n"] == 1
    nothing = evaluate_dense.evaluate_entities([empty], [empty], labeller="labeller")
    assert (nothing["entity_tube_iou"]["value"], nothing["entity_tube_iou"]["n"]) == (None, 0)
    with pytest.raises(ValueError, match="2 predictions"):
        evaluate_dense.evaluate_entities([empty, empty], [empty], labeller="labeller")
