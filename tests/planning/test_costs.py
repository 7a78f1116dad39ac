"""What a run cost, from logs as they really are: of killed invocations, moved clocks, cut lines."""

from __future__ import annotations

import json
import os
import time

import pytest

from udpdiff.planning import costs
from udpdiff.planning.costs import Invocations, JobCost, read_jobs, seconds_per_rule


def log(folder, *events, end="\n"):
    """events: (event, time) with further fields as a dict."""
    lines = [json.dumps({"event": event, "time": moment} | dict(*more)) for event, moment, *more in events]
    (folder / "invocations.jsonl").write_text("\n".join(lines) + end)


def job(end, seconds=1.0, gb=1.0, rule="rule"):
    return JobCost(rule, "job", end, seconds, gb)


def test_wall_time_counts_invocations_and_not_the_pause_between(tmp_path):
    log(tmp_path, ("start", 0), ("end", 10), ("start", 100), ("end", 105))
    assert Invocations(tmp_path).total_seconds() == 15
    assert Invocations(tmp_path / "none").total_seconds() == 0


def test_an_invocation_that_was_killed_counts_until_its_last_job(tmp_path):
    log(tmp_path, ("start", 0, {"pid": 1}), ("start", 1000, {"pid": 2}), ("end", 1010, {"pid": 2}))
    jobs = [job(267), job(200), job(1005)]
    assert Invocations(tmp_path).total_seconds(jobs) == 267 + 10
    assert Invocations(tmp_path).total_seconds() == 10, "nothing is known of what it did"


def test_time_grows_with_jobs_and_not_with_their_square(tmp_path):
    class Moment(float):
        compared = 0
        __hash__ = float.__hash__

        def __eq__(self, other):
            Moment.compared += 1
            return float(self) == other

    log(tmp_path, ("start", 0), ("end", 2000))
    assert Invocations(tmp_path).total_seconds([job(Moment(second)) for second in range(1000)]) == 2000
    assert Moment.compared < 5000


def test_a_clock_that_was_set_back_takes_nothing_away(tmp_path):
    first, second = {"pid": 1, "monotonic": 50.0}, {"pid": 1, "monotonic": 62.5}
    log(tmp_path, ("start", 7200, first), ("end", 10, second))
    assert Invocations(tmp_path).total_seconds() == 12.5
    log(tmp_path, ("start", 7200), ("end", 10), ("start", 20), ("end", 25))
    assert Invocations(tmp_path).total_seconds() == 5


def test_jobs_of_a_killed_invocation_count_though_the_clock_was_set_back(tmp_path):
    log(tmp_path, ("start", 7200, {"pid": 1}), ("start", 300, {"pid": 2}), ("end", 310, {"pid": 2}))
    jobs = [job(7210, 8), job(20, 15), job(30, 20), job(267, 200), job(305, 2)]
    assert Invocations(tmp_path).total_seconds(jobs) == (30 - 5) + 200 + 8 + 10
    log(tmp_path, ("start", 300, {"pid": 2}), ("end", 310, {"pid": 2}))
    assert Invocations(tmp_path).total_seconds(jobs) == 10, "nothing was killed"


def test_the_running_invocation_is_measured_by_the_clock_that_nobody_sets(tmp_path, monkeypatch):
    Invocations(tmp_path).started()
    real = time.time()
    monkeypatch.setattr(time, "time", lambda: real - 7200)
    assert 0 <= Invocations(tmp_path).total_seconds() < 60
    monkeypatch.setattr(time, "time", lambda: real + 7200)
    assert 0 <= Invocations(tmp_path).total_seconds() < 60


def test_two_machines_have_two_clocks(tmp_path):
    first = {"pid": 1, "monotonic": 5e6, "boot": "one"}
    log(tmp_path, ("start", 100, first), ("end", 130, {"pid": 1, "monotonic": 50.0, "boot": "other"}))
    assert Invocations(tmp_path).total_seconds() == 30


def test_a_job_never_costs_less_than_nothing(tmp_path):
    path = tmp_path / "train/base.tsv"
    path.parent.mkdir()
    path.write_text("s\tmax_rss\n-7195.2\t1024\n")
    assert seconds_per_rule(read_jobs(tmp_path))["train"]["seconds"] == 0


def test_ends_belong_to_their_own_process(tmp_path):
    log(tmp_path, ("start", 0, {"pid": 1}), ("start", 4, {"pid": 2}), ("end", 5, {"pid": 2}), ("end", 10, {"pid": 1}))
    assert Invocations(tmp_path).total_seconds() == 11


def test_the_running_invocation_counts_until_now(tmp_path):
    log(tmp_path, ("start", time.time() - 30))
    assert Invocations(tmp_path).total_seconds() == pytest.approx(30, abs=5)


def test_cut_lines_are_dropped_and_the_next_stays_whole(tmp_path):
    log(tmp_path, ("start", 0), ("end", 10), ("start", 20), end="")
    text = (tmp_path / "invocations.jsonl").read_text()
    (tmp_path / "invocations.jsonl").write_text("[1]\n{}\n" + text[:-3])
    assert Invocations(tmp_path).total_seconds() == 10
    Invocations(tmp_path).started()
    Invocations(tmp_path).ended()
    assert 10 <= Invocations(tmp_path).total_seconds() < 11
    last = json.loads((tmp_path / "invocations.jsonl").read_text().splitlines()[-1])
    assert last["event"] == "end" and last["pid"] == os.getpid()


def test_benchmarks_are_read_with_what_snakemake_could_not_measure(tmp_path):
    for name, text in {
        "train/base": "s\th:m:s\tmax_rss\n12.5\t0:00:12\t2048.0\n",
        "train/seg": "s\th:m:s\tmax_rss\n0.2\t0:00:00\t-\n",
        "train/depth": "s\th:m:s\tmax_rss\nNA\tNA\tNA\n",
        "sample/cut": "s\th:m:s\tmax_r",
        "sample/short": "s\th:m:s\tmax_rss\n3.5\n",
        "sample/empty": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.tsv").write_text(text)
    table = seconds_per_rule(read_jobs(tmp_path))
    untold = {"gpu_told": False, "peak_gpu_gb": None}
    assert table["train"] == {"jobs": 2, "seconds": 12.7, "longest_seconds": 12.5, "peak_rss_gb": 2.0} | untold
    assert table["sample"] == {"jobs": 1, "seconds": 3.5, "longest_seconds": 3.5, "peak_rss_gb": 0.0} | untold


def test_memory_adds_up_over_jobs_side_by_side():
    assert costs.peak_rss_gb([job(10, 10, 1.0), job(12, 5, 2.0), job(30, 5, 2.5)]) == 3.0
    assert costs.peak_rss_gb([job(10, 5, 1.0), job(15, 5, 2.0)]) == 2.0, "one after the other"
    assert costs.peak_rss_gb([job(10, 0, 9.0), job(10, 5, 1.0)]) == 1.0
    assert costs.peak_rss_gb([]) == 0.0


def test_jobs_whose_names_hold_folders_count_for_their_rule(tmp_path):
    for job in ("grid8/train/0", "grid8/samples/multi/seg/0"):
        path = tmp_path / "segment_entities" / f"{job}.tsv"
        path.parent.mkdir(parents=True)
        path.write_text("s\tmax_rss\n2.0\t1024\n")
    assert {job.job for job in read_jobs(tmp_path)} == {"grid8/train/0", "grid8/samples/multi/seg/0"}
    assert seconds_per_rule(read_jobs(tmp_path))["segment_entities"]["seconds"] == 4.0
