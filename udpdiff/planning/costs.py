"""What a run of the workflow cost: wall time of its invocations, time per stage, peak memory.

Reads Snakemake's benchmark files (one TSV per job) and the invocation log; knows nothing about what the stages do.
"""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from udpdiff.gpu_memory import recorded_peak
from udpdiff.storage.files import append_line

_BOOT = Path("/proc/sys/kernel/random/boot_id")  # on Linux


@dataclass(frozen=True)
class JobCost:
    """One job.

    Attributes:
        end: Unix time.
        seconds: By the clock on the wall.
        peak_rss_gb: Resident memory.
        gpu_told: Whether the job recorded the memory of its GPU.
        peak_gpu_gb: None where it used none, or did not record it.
    """

    rule: str
    job: str
    end: float
    seconds: float
    peak_rss_gb: float
    gpu_told: bool = False
    peak_gpu_gb: float | None = None


class Invocations:
    """Start and end times of `snakemake` invocations, appended to `invocations.jsonl` in the results folder."""

    def __init__(self, results: str | Path):
        self.path = Path(results) / "invocations.jsonl"

    def started(self) -> None:
        """Note that this process's invocation begins."""
        self._append("start")

    def ended(self) -> None:
        """Note that this process's invocation ends, well or with an error."""
        self._append("end")

    def total_seconds(self, jobs: Iterable[JobCost] = ()) -> float:
        """Return the wall seconds of all invocations up to now, none of which counts less than nothing.

        The last one counts until now while it runs. One that was killed counts until the last of `jobs` that ended
        before the next one began; jobs that ended in none of them, as where the clock was set, count by their own time.
        """
        invocations, killed = self._invocations(), False
        total, unplaced = 0.0, list(jobs)
        for (start, end), following in zip(invocations, [*invocations[1:], None], strict=False):
            last = end or (following[0] if following else _now())
            seconds = _seconds_between(start, last)
            # By the clock before it was set, if it was, and after.
            spans = ((start["time"], start["time"] + seconds), (last["time"] - seconds, last["time"]))
            within = {job.end for job in unplaced if any(first <= job.end <= until for first, until in spans)}
            unplaced = [job for job in unplaced if job.end not in within]
            if end or not following:
                total += seconds
            else:
                killed = True
                total += max(0.0, max(within, default=start["time"]) - start["time"])
        return total + (seconds_covered(unplaced) if killed else 0.0)

    def _invocations(self) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
        """Return (start, end) of each, the end None for one that was killed or still runs."""
        found: list[list] = []
        for event in self._events():
            if event["event"] == "start":
                found.append([event, None])
                continue
            own = [pair for pair in found if pair[0].get("pid") == event.get("pid") and pair[1] is None]
            if own:
                own[-1][1] = event
        return [tuple(pair) for pair in found]

    def _events(self) -> Iterator[dict[str, Any]]:
        """Yield what was logged; a line cut short by a crash is left out."""
        for line in self.path.read_text(errors="replace").splitlines() if self.path.exists() else []:
            try:
                event = json.loads(line)
                yield {**event, "event": event["event"], "time": float(event["time"])}
            except (ValueError, TypeError, KeyError):
                continue

    def _append(self, event: str) -> None:
        append_line(self.path, json.dumps({"event": event, "pid": os.getpid()} | _now()))


def _now() -> dict[str, Any]:
    """The moment by both clocks, and since which start of which machine the one that nobody sets counts."""
    boot = _BOOT.read_text().strip() if _BOOT.exists() else None
    return {"time": time.time(), "monotonic": time.monotonic(), "boot": boot}


def _seconds_between(start: dict[str, Any], end: dict[str, Any]) -> float:
    """By the clock that nobody sets, where both events have it."""
    same = "monotonic" in start and "monotonic" in end and start.get("boot") == end.get("boot")
    clock = "monotonic" if same else "time"
    return max(0.0, end[clock] - start[clock])


def seconds_covered(jobs: Iterable[JobCost]) -> float:
    """Return the seconds in which at least one of the jobs ran."""
    total, until = 0.0, float("-inf")
    for start, end in sorted((job.end - job.seconds, job.end) for job in jobs):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total


def read_jobs(benchmarks: str | Path) -> list[JobCost]:
    """Return all jobs of the benchmark files, oldest first; lines without a time are none.

    Args:
        benchmarks: The folder of `{rule}/{job}.tsv`, where the name of a job may hold further folders.
    """
    jobs = []
    for path in sorted(Path(benchmarks).rglob("*.tsv")):
        rule, *job = path.relative_to(benchmarks).with_suffix("").parts
        with path.open(errors="replace") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                seconds, megabytes = _number(row.get("s")), _number(row.get("max_rss"))
                if seconds is not None:
                    rss = (megabytes or 0.0) / 1024
                    # Snakemake takes the time by a clock that may be set back meanwhile.
                    times = (path.stat().st_mtime, max(0.0, seconds))
                    jobs.append(JobCost(rule, "/".join(job), *times, rss, *recorded_peak(path)))
    return sorted(jobs, key=lambda job: job.end)


def _number(text: str | None) -> float | None:
    """None for NA, - and nothing, which Snakemake writes for what it could not measure."""
    try:
        number = float(text)
    except (TypeError, ValueError):
        return None
    return number if isfinite(number) else None


def seconds_per_rule(jobs: list[JobCost]) -> dict[str, dict[str, Any]]:
    """Return per rule: number of jobs, their summed wall seconds, the longest, the largest peak memories in GB.

    `gpu_told`: whether some job recorded the memory of its GPU, `peak_gpu_gb`: the most, None where none was used.
    """
    empty = {
        "jobs": 0,
        "seconds": 0.0,
        "longest_seconds": 0.0,
        "peak_rss_gb": 0.0,
        "gpu_told": False,
        "peak_gpu_gb": None,
    }
    table: dict[str, dict[str, Any]] = {}
    for job in jobs:
        row = table.setdefault(job.rule, dict(empty))
        row["jobs"] += 1
        row["seconds"] += job.seconds
        row["longest_seconds"] = max(row["longest_seconds"], job.seconds)
        row["peak_rss_gb"] = max(row["peak_rss_gb"], job.peak_rss_gb)
        row["gpu_told"] |= job.gpu_told
        if job.peak_gpu_gb is not None:
            row["peak_gpu_gb"] = max(row["peak_gpu_gb"] or 0.0, job.peak_gpu_gb)
    return table


def peak_rss_gb(jobs: list[JobCost]) -> float:
    """Return the largest sum of peak memories of jobs that overlapped in time: a bound of what was resident at once."""
    timed = [job for job in jobs if job.seconds > 0]
    events = [(job.end - job.seconds, 1, job.peak_rss_gb) for job in timed]
    events += [(job.end, 0, -job.peak_rss_gb) for job in timed]
    resident = peak = 0.0
    for _, _, change in sorted(events):  # at one moment those that end go first
        resident += change
        peak = max(peak, resident)
    return peak
