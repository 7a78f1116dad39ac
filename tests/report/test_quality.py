"""quality.json: whose figures it holds, and when a goal is met."""

from __future__ import annotations

import pytest

from udpdiff.report import quality
from udpdiff.storage.sealed import write_record


def measured(folder, run, task, value, **more):
    """A quality.json with one video figure and one dense one."""
    metric = {"value": value, "low": value - 0.1, "high": value + 0.1, "n": 4}
    dense = {"seg": {"entity_tube_iou": metric}, "depth": {"depth_delta1": metric}}.get(task, {})
    path = folder / run / task / "quality.json"
    path.parent.mkdir(parents=True)
    write_record(path, {"run": run, "task": task, "metrics": {"fvd": metric} | dense} | more)
    return path


def test_generated_figures_are_of_the_featured_run_alone(tmp_path):
    paths = [
        measured(tmp_path, run, task, value)
        for run, task, value in (
            ("base", "video", 1),
            ("multi", "seg", 2),
            ("multi", "depth", 3),
            ("depth", "depth", 4),
        )
    ]
    figures = quality.collect(paths, "multi")
    assert {key: value for key, value in figures.items() if not key.endswith(("_low", "_high", "_n"))} == {
        "generated.fvd_seg": 2,
        "generated.fvd_depth": 3,
        "generated.entity_tube_iou": 2,
        "generated.depth_delta1": 3,
    }
    assert figures["generated.fvd_seg_low"] == 1.9 and figures["generated.depth_delta1_n"] == 4
    assert quality.collect(paths, None) == {}


def test_runtimes_are_named_by_their_run_and_lack_what_they_lack(tmp_path):
    path = tmp_path / "runtime.json"
    metrics = {"runtime_seconds": {"value": 2.5, "low": None, "high": None, "n": 5}}
    write_record(path, {"run": "base", "task": "video", "metrics": metrics})
    assert quality.collect([path], "multi") == {
        "runtime.base.runtime_seconds": 2.5,
        "runtime.base.runtime_seconds_n": 5,
    }


@pytest.mark.parametrize(
    "goal, value, met",
    [
        ("codec.x >= 0.8", 0.8, True),
        ("codec.x >= 0.8", 0.79, False),
        ("codec.x <= 1e-2", 0.01, True),
        ("codec.x <= 1e-2", 0.011, False),
        ("codec.x <= 1e-2", None, None),
    ],
)
def test_bounds_are_met_or_not_or_unknown(goal, value, met):
    (verdict,) = quality.judge({} if value is None else {"codec.x": value, "codec.x_low": 0.5}, [goal])
    assert verdict["met"] is met and verdict["value"] == value
    assert verdict["goal"].startswith(goal.split()[1]) and verdict["low"] == (None if value is None else 0.5)


def test_above_a_control_means_a_gain_that_is_no_chance():
    key = "generated.depth_delta1"
    figures = {key: 0.8, f"{key}_shuffled": 0.7, f"{key}_over_shuffled_low": 0.02, f"{key}_over_shuffled_high": 0.18}

    def met(control: str):
        (verdict,) = quality.judge(figures, [f"{key} > {control}"])
        assert verdict["goal"].split(" (")[0] == f"> {key}_{control}"
        return verdict["met"]

    assert (met("shuffled"), met("constant")) == (True, None)
    figures[f"{key}_over_shuffled_low"] = -0.02
    assert met("shuffled") is False
