"""Runs against the base: equal ones are at 1 for certain, intervals are as wide as fresh draws spread, and pairs are pairs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from udpdiff.jobs import CompareWithBase
from udpdiff.measures.fvd import frechet_distance, kernel_distance
from udpdiff.metrics import against_base
from udpdiff.metrics.against_base import shared_video_losses
from udpdiff.metrics.bootstrap import draw_subsets, subsample_ratio
from udpdiff.metrics.feature_shards import VideoSet
from udpdiff.metrics.set_distances import measure_distances

JOB = CompareWithBase(base="base", pairs=(("multi", "seg"), ("multi", "depth")))


def normal(seed, count=24, dimensions=6, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (count, dimensions))


def measured(found, reference, seed=3):
    """The content of quality.json, as far as it is read."""
    return {"clips": {"videos": found.clip_ids}, "metrics": measure_distances(reference, found, seed=seed)}


def compare_with_base(job, sets, reference, logs):
    return against_base.compare_with_base(job, {pair: measured(each, reference) for pair, each in sets.items()}, logs)


def distance_ratios(reference, base, sets):
    """Ratios of sets (N, D) to the base's distances to real videos (M, D)."""
    base, *others = (measured(videos(each), videos(reference))["metrics"] for each in (base, *sets))
    return [against_base.distance_ratios(each, base) for each in others]


def test_the_bases_own_videos_are_at_one_and_in_any_order_of_the_sets():
    reference, base, other = normal(0, 40), normal(1, shift=1.0), normal(2, shift=2.0)
    same, far = distance_ratios(reference, base, [base.copy(), other])
    for name in ("fvd_ratio", "kvd_ratio"):
        assert (same[name].value, same[name].low, same[name].high) == pytest.approx((1, 1, 1))
        assert far[name].value > far[name].low > 1 and far[name].n == 24
    assert distance_ratios(reference, base, [other, base])[0] == far
    assert far["fvd_ratio"].value == pytest.approx(
        frechet_distance(reference, other) / frechet_distance(reference, base)
    )
    assert far["kvd_ratio"].value == pytest.approx(kernel_distance(reference, other) / kernel_distance(reference, base))


def test_pairs_of_prompts_sharpen_the_ratio():
    """Videos that differ a little from the base's, prompt by prompt; the same videos of other prompts tell less."""
    reference, base = normal(0, 40), normal(1, shift=1.0)
    close = base + normal(2) * 0.05
    paired, unpaired = distance_ratios(reference, base, [close, close[::-1]])
    for name in ("fvd_ratio", "kvd_ratio"):
        assert paired[name].value == pytest.approx(unpaired[name].value)
        assert paired[name].high - paired[name].low < 0.3 * (unpaired[name].high - unpaired[name].low)


def test_the_interval_is_as_wide_as_fresh_draws_spread():
    def drawn(seed):
        real, prompts, first, second = np.random.default_rng(seed).normal(size=(4, 60, 4))
        return real, prompts + 0.3 * first + 0.8, prompts + 0.3 * second + 1.0

    def ratio(real, base, other):
        return frechet_distance(real, other) / frechet_distance(real, base)

    values = [ratio(*drawn(seed)) for seed in range(300)]
    spread = np.percentile(values, 97.5) - np.percentile(values, 2.5)
    widths = []
    for seed in range(300, 306):
        real, base, other = drawn(seed)
        (found,) = distance_ratios(real, base, [other])
        widths.append(found["fvd_ratio"].high - found["fvd_ratio"].low)
    assert 0.7 < np.mean(widths) / spread < 1.5


def test_a_ratio_to_what_may_be_nothing_has_no_interval_or_no_value():
    rng = np.random.default_rng(0)
    near = subsample_ratio(1.0, 0.1, rng.normal(1, 0.1, 50), rng.normal(0.1, 0.1, 50), share=0.5, n=20)
    assert near.value == pytest.approx(10) and np.isnan([near.low, near.high]).all()
    assert np.isnan(subsample_ratio(1.0, -0.1, [1.0, 1.1], [0.1, 0.0], share=0.5, n=20).value)
    few = subsample_ratio(2.0, 1.0, [2.0, 2.1], [1.0, 1.1], share=0.5, n=7)
    assert few.value == 2 and np.isnan([few.low, few.high]).all()


def test_subsets_hold_no_video_twice_and_half_of_them():
    for real, rows in draw_subsets(40, 24, subsets=5, share=0.5, seed=1):
        assert len(set(rows)) == len(rows) == 12 and len(set(real)) == len(real) == 20
    assert all((real == rows).all() for real, rows in draw_subsets(24, 24, subsets=3, share=0.5, seed=1))


def videos(features, prompts=None, network="a network"):
    prompts = prompts or [f"prompt {index}" for index in range(len(features))]
    return VideoSet(prompts, features, [{}] * len(prompts), np.full(len(prompts), 5), {"video": network}, None)


def sets(**changed):
    base = videos(normal(1))
    return {("base", "video"): base, ("multi", "seg"): base, ("multi", "depth"): videos(normal(2, shift=2))} | changed


def log(losses):
    """A log with validation losses by step, or by step and clip."""
    training = [{"step": step, "loss": 9.0, "loss_video": 9.0} for step in losses]
    by_clip = {step: loss if isinstance(loss, dict) else {"a": loss, "b": loss} for step, loss in losses.items()}
    return training + [
        {"step": step, "validation": {"loss_video": 8.0, "loss_video_clip": clips}} for step, clips in by_clip.items()
    ]


def test_every_run_has_its_own_figures_under_stated_conditions():
    logs = {"base": log({90: 0.2, 180: 0.1}), "multi": log({90: 0.3, 180: 0.25, 270: 0.05})}
    document = compare_with_base(JOB, sets(), videos(normal(0, 40)), logs)
    metrics = document["variants"]["runs"]["multi"]["metrics"]
    seg = metrics["fvd_ratio_seg"]
    assert (seg["value"], seg["low"], seg["high"]) == pytest.approx((1, 1, 1)) and seg["n"] == 24
    assert metrics["fvd_ratio_depth"]["low"] > 1 and metrics["kvd_ratio_depth"]["value"] > 1
    assert (metrics["video_loss"]["value"], metrics["video_loss_ratio"]["value"]) == pytest.approx((0.25, 2.5))
    assert metrics["video_loss"]["extractor"] == "validation after 180 steps", "the last that both have"
    assert metrics["video_loss"]["n"] == metrics["video_loss_ratio"]["n"] == 2
    assert document["conditions"] == {
        "videos": 24, "real_videos": 40, "dimensions": 6, "network": "a network",
        "subsets": 200, "share": 0.5, "base": "base",
    }  # fmt: skip
    assert document["metrics"]["feature_dimensions"]["value"] == 6
    unvalidated = compare_with_base(JOB, sets(), videos(normal(0, 40)), logs | {"base": [{"step": 1, "loss": 1.0}]})
    assert set(unvalidated["variants"]["runs"]["multi"]["metrics"]) == {
        "fvd_ratio_seg", "kvd_ratio_seg", "fvd_ratio_depth", "kvd_ratio_depth",
    }  # fmt: skip


def test_a_run_that_is_the_base_over_again_is_at_one():
    losses = log({90: 0.2, 180: 0.1})
    same = {pair: videos(normal(1)) for pair in sets()}
    metrics = compare_with_base(JOB, same, videos(normal(0, 40)), {"base": losses, "multi": losses})["variants"]["runs"]
    ratios = {name: each for name, each in metrics["multi"]["metrics"].items() if "ratio" in name}
    assert len(ratios) == 5 and [each["value"] for each in ratios.values()] == pytest.approx([1] * 5)
    assert ratios.pop("video_loss_ratio")["low"] is None
    assert [end for each in ratios.values() for end in (each["low"], each["high"])] == pytest.approx([1] * 8)


def test_unequal_conditions_are_refused():
    reference, logs = videos(normal(0, 40)), {"base": [], "multi": []}
    others = videos(normal(1), [f"other prompt {index}" for index in range(24)])
    with pytest.raises(ValueError, match=r"Videos of multi/seg.*same prompts.*sample both again"):
        compare_with_base(JOB, sets() | {("multi", "seg"): others}, reference, logs)
    other = dataclasses.replace(sets()["multi", "seg"], names={"video": "another"})
    with pytest.raises(ValueError, match="a network, another, expected one network"):
        compare_with_base(JOB, sets() | {("multi", "seg"): other}, reference, logs)
    documents = {pair: measured(each, reference) for pair, each in sets().items()}
    documents["multi", "depth"] = measured(sets()["multi", "depth"], reference, seed=4)
    with pytest.raises(ValueError, match="multi/depth and the base: got those to other real videos, or on subsets"):
        against_base.compare_with_base(JOB, documents, logs)


def test_the_order_of_prompts_does_not_matter():
    reference, logs = videos(normal(0, 40)), {"base": [], "multi": []}
    other = sets()["multi", "depth"]
    turned = dataclasses.replace(other, clip_ids=other.clip_ids[::-1], features=other.features[::-1])
    plain, exchanged = (
        compare_with_base(JOB, sets() | {("multi", "depth"): each}, reference, logs) for each in (other, turned)
    )
    assert plain == exchanged


def test_losses_by_step_are_of_the_video_and_of_validation():
    assert shared_video_losses(log({90: 0.3}), log({90: 0.2})) == {90: (0.3, 0.2, 2)}
    without = [{"step": 1, "validation": {"loss": 0.3}}, {"step": 2, "loss_video": 1.0}]
    assert shared_video_losses(without, log({1: 0.3, 2: 0.3})) == {}


def test_losses_are_compared_on_the_clips_of_both():
    base = log({90: {"a": 1.0, "b": 2.0, "c": 30.0}, 180: {"a": 1.0}})
    run = log({90: {"a": 2.0, "b": 4.0, "d": 50.0}, 180: {"d": 1.0}})
    assert shared_video_losses(run, base) == {90: (3.0, 1.5, 2)}, "neither c, which the run has not, nor d"
