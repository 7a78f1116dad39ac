"""The page of trainings: which curves there are of which log entries, what a point stands for, what is said of each run."""

from __future__ import annotations

import json

import pytest
from small_results import small_inputs, small_job, write_training

from udpdiff.planning.costs import JobCost
from udpdiff.report.pages import training as page
from udpdiff.storage.sealed import read_record, seal_folder, write_record


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    folder.mkdir()
    write_training(folder)
    return folder


def shown(results, jobs=()) -> page.Training:
    inputs = small_inputs(small_job(), results)
    inputs.costs = list(jobs)
    return page.training(inputs, results / "media")


def panels(found: page.Training) -> dict[str, page.Panel]:
    return {panel.title: panel for group in found.groups for panel in group.panels}


@pytest.fixture(autouse=True)
def no_summaries(monkeypatch):
    """The page reads none."""
    monkeypatch.setattr("small_results.summary_paths", lambda job, results: [])


def test_curves_are_by_stream_task_and_quarter_and_validation_stands_beside(results):
    found = panels(shown(results))
    assert list(found) == [
        "all streams", "video stream", "seg", "timesteps 0–249", "timesteps 250–499", "timesteps 500–749",
        "timesteps 750–999", "video validation loss", "divided by that of base",
    ]  # fmt: skip
    video = {curve.label: curve for curve in found["video stream"].curves}
    assert list(video) == ["base", "base validation", "multi", "multi validation"]
    assert (video["base"].steps, video["base"].values) == ([1, 2, 3], [0.5] * 3)
    assert (video["multi validation"].steps, video["multi validation"].values) == ([3], [0.3])
    assert [found[f"timesteps {low}–{low + 249}"].curves[0].values[0] for low in (0, 250, 500, 750)] == [0.4, 0.3, 0.2, 0.1]  # fmt: skip
    ratio = {curve.name: curve.values for curve in found["divided by that of base"].curves}
    assert ratio == {"base": [1.0], "multi": [pytest.approx(1.5)]}


def test_a_long_log_is_averaged_in_equal_groups(results, monkeypatch):
    monkeypatch.setattr(page, "MOST_POINTS", 2)
    found = shown(results)
    assert found.runs[0].entries_per_point == 2
    curve = panels(found)["all streams"].curves[0]
    assert (curve.steps, curve.values) == ([2, 3], [0.75, pytest.approx(1 / 3, abs=1e-5)])


def test_speed_is_that_between_entries_and_a_resumed_run_says_so(results):
    folder = results / "runs/multi"
    log = [{"step": step, "loss": 1.0, "seconds": seconds} for step, seconds in ((10, 2.0), (20, 4.0), (30, 12.0))]
    log[1]["peak_gpu_gb"], log[2]["peak_gpu_gb"] = 7.5, 6.5  # the second session is of a later start
    (folder / "train.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in log))
    record = read_record(folder / "provenance.json")
    sessions = [record | {"first_step": 0}, record | {"first_step": 20, "commit": None, "dirty": None}]
    write_record(folder / "provenance.json", record | {"sessions": sessions, "wall_seconds": 12.0})
    seal_folder(folder)
    found = shown(results, [JobCost("train", "multi", 1.0, 12.0, 1.5), JobCost("train", "gone", 1.0, 1.0, 9.0)])
    base, multi = found.runs
    (curve,) = panels(found)["samples per second"].curves
    batch = multi.batch_size
    assert (curve.name, curve.steps, curve.values) == ("multi", [20, 30], [batch * 5.0, batch * 1.25])
    assert [session.first_step for session in multi.sessions] == [0, 20] and len(base.sessions) == 1
    assert [session.commit for session in multi.sessions] == ["facade+", ""]
    assert (multi.peak_rss_gb, base.peak_rss_gb) == (1.5, None)
    assert (multi.peak_gpu_gb, base.peak_gpu_gb) == (7.5, None)
    assert panels(found)["GPU memory, GB"].curves[0].values == [None, 7.5, 6.5]
    assert multi.samples_per_second == pytest.approx(30 * batch / 12) and base.samples_per_second is None


def test_without_a_base_nothing_is_set_against_it(results):
    inputs = small_inputs(small_job(runs={"multi": {"tasks": {"seg": 1.0}}}), results)
    inputs.costs = []
    found = page.training(inputs, results / "media")
    assert [run.name for run in found.runs] == ["multi"]
    assert not [title for title in panels(found) if "divided" in title]
