"""From figures of clips to those of a set: by hand where the hand can, and what must not be mistaken for another."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from udpdiff import jobs
from udpdiff.measures import fvd
from udpdiff.metrics.bootstrap import bootstrap_difference
from udpdiff.metrics.comparison import Comparison
from udpdiff.metrics.evaluate import (
    evaluate_dense,
    evaluate_labels,
    evaluate_round_trips,
    evaluate_runtime,
    evaluate_videos,
    quality_document,
)
from udpdiff.metrics.feature_shards import VideoSet
from udpdiff.tasks import get_task


def videos(count, seed=0, shift=0.0, num_frames=None, network="video network"):
    rng = np.random.default_rng(seed)
    figures = ("subject_consistency", "background_consistency", "motion_smoothness_blend")
    return VideoSet(
        clip_ids=[str(index) for index in range(count)],
        features=rng.normal(shift, 1, (count, 4)),
        scores=[dict(zip(figures, row, strict=True)) for row in rng.uniform(0, 1, (count, 3)).tolist()],
        num_frames=np.array(num_frames or [5] * count),
        names={"video": network, "subject": "subject network", "image": "image network", "interpolator": "average"},
        smoothness="motion_smoothness_blend",
    )


def test_longer_videos_weigh_more_in_consistencies_but_not_in_smoothness():
    generated = videos(2, num_frames=[3, 9])
    metrics = evaluate_videos(generated, videos(2, 1), bootstrap_samples=20)
    first, second = (row["subject_consistency"] for row in generated.scores)
    assert metrics["subject_consistency"]["value"] == pytest.approx((2 * first + 8 * second) / 10)
    first, second = (row["background_consistency"] for row in generated.scores)
    assert metrics["background_consistency"]["value"] == pytest.approx((2 * first + 8 * second) / 10)
    first, second = (row["motion_smoothness_blend"] for row in generated.scores)
    assert metrics["motion_smoothness_blend"]["value"] == pytest.approx((first + second) / 2)
    figures = ("subject_consistency", "background_consistency", "motion_smoothness_blend", "fvd")
    makers = ["subject network", "image network", "average", "video network"]
    assert [metrics[name]["extractor"] for name in figures] == makers
    reference = videos(2, 1).scores
    real = metrics["subject_consistency_real"]
    assert real["per_video"] == [row["subject_consistency"] for row in reference], "beside those of real videos"


def test_distances_and_their_floor_which_is_that_of_real_videos():
    generated, reference = videos(9, 2, shift=1), videos(12, 3)
    metrics = evaluate_videos(generated, reference, bootstrap_samples=20, seed=5)
    assert metrics["fvd"]["value"] == pytest.approx(fvd.frechet_distance(reference.features, generated.features))
    assert metrics["kvd"]["value"] == pytest.approx(fvd.kernel_distance(reference.features, generated.features))
    by_id = np.argsort(np.array(reference.clip_ids))
    floor = fvd.split_floor(reference.features[by_id], np.random.default_rng(5))
    assert metrics["fvd_floor"]["value"] == pytest.approx(floor) and metrics["fvd_floor"]["n"] == 6
    assert metrics["fvd"]["n"] == metrics["kvd"]["n"] == metrics["fvd_infinity"]["n"] == 9
    other = evaluate_videos(videos(9, 8, shift=4), reference, bootstrap_samples=20, seed=5)
    assert other["fvd_floor"] == metrics["fvd_floor"], "what was generated does not move the floor"
    document = quality_document("base", "video", 7, 9, metrics, {"videos": generated.clip_ids})
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_few_videos_give_values_without_intervals():
    metrics = evaluate_videos(videos(3), videos(3, 1), bootstrap_samples=20)
    assert metrics["fvd"]["low"] is None
    assert "fvd_infinity" not in metrics and "fvd_floor" not in metrics


def test_features_of_two_networks_are_never_compared():
    with pytest.raises(ValueError, match="expected one network"):
        evaluate_videos(videos(4), videos(4, network="another"))


def test_a_second_network_has_a_kernel_distance_of_its_own():
    rng = np.random.default_rng(4)
    generated, reference = (
        dataclasses.replace(each, names=each.names | {"kernel": "k"}, kernel_features=rng.normal(shift, 1, (9, 7)))
        for shift, each in ((1, videos(9, 2)), (0, videos(9, 3)))
    )
    metrics = evaluate_videos(generated, reference, bootstrap_samples=20)
    found, expected = (
        metrics["kernel_distance"],
        fvd.kernel_distance(reference.kernel_features, generated.kernel_features),
    )
    assert (found["value"], found["extractor"]) == (pytest.approx(expected), "k") and found["low"] < found["high"]
    assert metrics["kvd"] == evaluate_videos(videos(9, 2), videos(9, 3), bootstrap_samples=20)["kvd"]
    with pytest.raises(ValueError, match="got 'k' of generated and None of real"):
        evaluate_videos(generated, videos(9, 3))


def test_controls_and_gains_are_paired_by_video():
    task = get_task("depth")
    rng = np.random.default_rng(0)
    rows = [
        {"depth_delta1": value, "depth_delta1_shuffled": value - 0.3 + noise, "depth_delta1_constant": 0.1}
        for value, noise in rng.uniform([0.5, 0], [0.52, 0.02], (8, 2))
    ]
    del rows[3]["depth_delta1_shuffled"]  # the only clip of its shard
    metrics = evaluate_dense(task, rows, labeller="judge", bootstrap_samples=50, seed=3)
    assert metrics["depth_delta1"]["n"] == 8 and metrics["depth_delta1_shuffled"]["n"] == 7
    paired = [(row["depth_delta1"], row["depth_delta1_shuffled"]) for i, row in enumerate(rows) if i != 3]
    gain = bootstrap_difference(*zip(*paired, strict=True), resamples=50, seed=3)
    found = metrics["depth_delta1_over_shuffled"]
    assert (found["value"], found["low"], found["high"], found["n"]) == (gain.value, gain.low, gain.high, 7)
    assert found["per_video"].pop(3) is None, "values keep the order of the clips"
    assert found["per_video"] == pytest.approx([first - second for first, second in paired])
    assert metrics["depth_delta1_over_constant"]["value"] == pytest.approx(metrics["depth_delta1"]["value"] - 0.1)


def test_comparators_are_named_with_their_reference():
    rows = [{"depth_delta1": 0.5, "depth_delta1_shuffled": 0.2, "other_depth_delta1": 0.9}, {"depth_delta1": 0.7}]
    metrics = evaluate_dense(get_task("depth"), rows, labeller="judge", comparators=("other",), bootstrap_samples=20)
    assert metrics["other_depth_delta1"]["extractor"] == "other against judge"
    assert (metrics["other_depth_delta1"]["value"], metrics["other_depth_delta1"]["n"]) == (0.9, 1)
    assert metrics["depth_delta1"]["extractor"] == metrics["depth_delta1_shuffled"]["extractor"] == "judge"


def test_where_nothing_could_be_compared_figures_have_no_value():
    metrics = evaluate_dense(get_task("depth"), [], labeller="judge")
    controls = {"depth_delta1_shuffled", "depth_delta1_constant", "depth_labels_shuffled"}
    assert set(metrics) == {"depth_delta1"} | controls
    assert metrics["depth_delta1"]["value"] is None and metrics["depth_delta1"]["n"] == 0
    assert set(evaluate_dense(get_task("seg"), [], labeller="judge")) == {
        "entity_tube_iou", "entity_tube_iou_shuffled", "entity_labels_shuffled",
        "solid_tube_iou", "solid_tube_iou_shuffled", "solid_labels_shuffled",
    }  # fmt: skip


def test_labellers_are_compared_with_the_judge_over_the_clips_that_both_label():
    judge = Comparison({"a": {"entity_miou": 0.9}, "b": {"entity_miou": 0.8}, "c": {"entity_miou": 0.7}}, {})
    other = Comparison({"a": {"entity_miou": 0.5}, "c": {"entity_miou": 0.6, "solid_miou": 1.0}}, {"b": "low coverage"})
    job = jobs.LabelQuality(seed=0, bootstrap_samples=20, judges={"entities": "judge"}, tasks={})
    document = evaluate_labels(job, {"entities": {"other": other, "judge": judge}})
    assert document["metrics"]["entity_miou"]["value"] == pytest.approx(0.8)
    assert document["metrics"]["refused_share"]["value"] == 0
    found = document["variants"]["entities"]["other"]
    assert found["metrics"]["refused_share"]["value"] == pytest.approx(1 / 3)
    assert found["difference"]["entity_miou"]["value"] == pytest.approx((-0.4 - 0.1) / 2)
    assert set(found["difference"]) == {"entity_miou"}
    assert found["clips"] == other.clips and found["refused"] == {"b": "low coverage"}
    assert document["variants"]["entities"]["judge"]["difference"] == {}


def test_a_largest_error_is_the_worst_over_all_clips():
    job = jobs.CodecQuality(
        base="a base", dtype="float32", max_clips=9, batch_clips=1, seed=0, bootstrap_samples=20, tasks={}
    )
    values = {"spectral_max_abs_error": [0.001, 0.004, 0.002], "vae_depth_delta1": [0.5, 0.7, 0.9]}
    metrics = evaluate_round_trips(job, values)["metrics"]
    assert metrics["spectral_max_abs_error"]["value"] == 0.004
    assert (
        metrics["spectral_max_abs_error"]["extractor"] == "no VAE" and metrics["spectral_max_abs_error"]["low"] is None
    )
    assert metrics["vae_depth_delta1"]["value"] == pytest.approx(0.7)
    assert metrics["vae_depth_delta1"]["extractor"] == "a base"


def test_runtime_figures():
    timings = [{"total": 2.0 + index, "text_encoder": 0.1, "transformer": 1.5, "vae": 0.3} for index in range(3)]
    metrics = evaluate_runtime(timings, hardware="one core")
    assert metrics["runtime_seconds"]["value"] == 3.0
    assert metrics["runtime_transformer_seconds"]["extractor"] == "one core"
    assert metrics["runtime_other_seconds"]["value"] == pytest.approx(3.0 - 1.9)
    assert not any(math.isnan(metric["low"]) for metric in metrics.values())
