"""The time that a start of the workflow names: the default run's for its own jobs, in proportion for others, else none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from udpdiff.config import parsing as config_parsing
from udpdiff.planning import cpu_speeds, default_run, expected_time
from udpdiff.planning.costs import JobCost
from udpdiff.planning.stages import StagePlan
from udpdiff.workflow.workflow import Workflow

ROOT = Path(__file__).parents[2]


def workflow(**sections) -> Workflow:
    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    update_config(raw, sections)
    return Workflow(config_parsing.parse(raw))


def every_job(flow: Workflow) -> Counter:
    """Rule -> jobs; of rules that share a stage the first stands for all."""
    counts = Counter()
    for stage in cpu_speeds.counted_stages(flow):
        counts[cpu_speeds.rules_of(stage.stage)[0]] += stage.jobs
    return counts


def said(flow: Workflow, ahead: Mapping[str, int], cores: int) -> str | None:
    return expected_time.TimeLeft(flow, lambda: ahead, cores).describe()


def minutes(told: str) -> int:
    return int(re.match(r"About (\d+) minutes? from here", told).group(1))


def test_the_whole_default_run_takes_what_it_took():
    flow, measured = workflow(), round(default_run.cost("total_seconds") / 60)
    told = said(flow, every_job(flow), default_run.CORES)
    assert (
        minutes(told) == measured
        and f"{measured} minutes on 2 cores of an AMD EPYC" in told
        and "not counted" not in told
    )
    assert minutes(said(flow, every_job(flow), 1)) == pytest.approx(2 * measured, abs=1)


def test_a_run_that_goes_on_takes_the_rest():
    flow = workflow()
    jobs = every_job(flow)
    whole = minutes(said(flow, jobs, 2))
    ahead = minutes(said(flow, jobs | {"train": 4}, 2))
    gone = 7 / 11 * default_run.cost("train_seconds") / 60 / 2
    assert ahead == pytest.approx(whole - gone, abs=2)
    assert said(flow, {"fill_table": 3, "render_report": 1}, 2) is None


def test_every_line_of_a_job_ends_with_the_time_that_is_left_then():
    flow, ahead = workflow(), {"train": 2}
    left = expected_time.TimeLeft(flow, lambda: ahead, 2)
    of_one = default_run.cost("train_seconds") / 11 / 60
    assert int(re.fullmatch("; about (\\d+) minutes? left", str(left)).group(1)) == pytest.approx(of_one, abs=1)
    ahead = {"fill_table": 2}
    assert str(left) == "" and left.describe() is None


def test_the_machine_that_the_run_is_on_teaches_how_long_jobs_take():
    finished = []
    left = expected_time.TimeLeft(workflow(), lambda: {"train": 4}, 2, lambda: finished)
    of_one, reckoned = default_run.cost("train_seconds") / 11, str(left)
    finished += [JobCost("train", "base", 0.0, 2.5 * of_one, 0.0), JobCost("fill_table", "1", 0.0, 999.0, 0.0)]
    first, second = str(left), str(left)
    assert first == f"{second} (jobs take 2.5 times as long here as reckoned)", "it is said once"
    before, after = (int(re.search(r"about (\d+) minute", said).group(1)) for said in (reckoned, second))
    assert after == pytest.approx(2.5 * before, abs=2)


@pytest.mark.parametrize(
    ("seconds", "ratio"),
    [([300.0], 1.0), ([300.0, 100.0], 2.0), ([60.0, 60.0], 0.6), ([0.0, 0.0], 0.05), ([1e6, 1e6], 20.0)],
)
def test_the_ratio_of_times_rests_on_enough_and_stays_within_bounds(seconds, ratio):
    jobs = [JobCost("train", "run", 0.0, each, 0.0) for each in seconds]
    assert expected_time.time_ratio(jobs, {"train": 100.0}) == pytest.approx(ratio)


def test_cores_without_number_leave_the_chain_of_stages():
    flow = workflow()
    assert 2 < minutes(said(flow, every_job(flow), 1000)) < minutes(said(flow, every_job(flow), 4))


def test_few_clips_take_the_start_of_their_jobs_too():
    """What three clips take would be seconds; what 19 jobs need to start is not."""
    flow = workflow(clips={"train": 3, "evaluation": 3})
    few = {"segment_entities": 8, "estimate_depth": 8, "encode_text": 3}
    assert cpu_speeds.wall_hours(expected_time.TimeLeft(flow, lambda: few, 2)._stages_ahead(), 2) * 3600 > 19 * 5 / 2
    assert minutes(said(workflow(), {"train": 11}, 2)) == pytest.approx(default_run.cost("train_seconds") / 120, abs=1)


@pytest.mark.parametrize(
    "sections",
    [
        {"clips": {"height": 128}},
        {"gpu": "rtx4090"},
        {"labels": {"tracker": {"checkpoint": "facebook/sam2.1-hiera-small"}}},
    ],
)
def test_nothing_is_said_of_other_clips_models_and_hardware(sections):
    flow = workflow(**sections)
    assert said(flow, every_job(flow), 2) is None


def test_jobs_are_not_counted_where_nothing_is_known():
    def ahead():
        raise AssertionError("ten thousands of jobs, counted for every line")

    assert str(expected_time.TimeLeft(workflow(gpu="h100"), ahead, 2)) == ""


def test_a_stage_that_is_told_otherwise_is_named():
    flow = workflow(sampling={"num_inference_steps": 20})
    assert " (not counted: sample): reckoned" in said(flow, every_job(flow), 2)


def test_speeds_of_finished_jobs_stay():
    measured = StagePlan("train", 1, 10, cpu_speeds.Speed(5.0, "measured", "here"))
    [kept] = cpu_speeds.with_default_speeds(workflow().config, [measured])
    assert kept is measured
