"""What a run of the workflow cost: wall time of its invocations, time per stage, peak memory.

Reads Snakemake's benchmark files (one TSV per job) and the invocation log; knows nothing about what the stages do.
"""

from __future__ import annotations

import csv
import json
import time
from dataclasses import dataclass
from pathlib import Path


class Invocations:
    """Start and end times of `snakemake` invocations, appended to `invocations.jsonl` in the results folder."""

    def __init__(self, results: str | Path):
        self.path = Path(results) / "invocations.jsonl"

    def started(self) -> None:
        self._append("start")

    def ended(self) -> None:
        self._append("end")

    def total_seconds(self) -> float:
        """Wall seconds of all invocations up to now; an invocation that was killed counts until its last job ended."""
        total, start = 0.0, None
        for line in self.path.read_text().splitlines() if self.path.exists() else []:
            event = json.loads(line)
            if event["event"] == "start":
                start = event["time"]
            elif start is not None:
                total, start = total + event["time"] - start, None
        return total + (time.time() - start if start is not None else 0.0)

    def _append(self, event: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as log:
            log.write(json.dumps({"event": event, "time": time.time()}) + "\n")


@dataclass(frozen=True)
class JobCost:
    """One job: its rule, when it ended (Unix time), wall seconds, peak resident memory in GB."""

    rule: str
    job: str
    end: float
    seconds: float
    peak_rss_gb: float


def read_jobs(benchmarks: str | Path) -> list[JobCost]:
    """All benchmark files `benchmarks/{rule}/{job}.tsv`, oldest first."""
    jobs = []
    for path in sorted(Path(benchmarks).glob("*/*.tsv")):
        with path.open() as file:
            for row in csv.DictReader(file, delimiter="\t"):
                rss = row["max_rss"]
                memory = 0.0 if rss in ("NA", "-", "") else float(rss) / 1024
                jobs.append(JobCost(path.parent.name, path.stem, path.stat().st_mtime, float(row["s"]), memory))
    return sorted(jobs, key=lambda job: job.end)


def seconds_per_rule(jobs: list[JobCost]) -> dict[str, dict[str, float]]:
    """Per rule: number of jobs, their summed wall seconds, the longest, the largest peak memory in GB."""
    table: dict[str, dict[str, float]] = {}
    for job in jobs:
        row = table.setdefault(job.rule, {"jobs": 0, "seconds": 0.0, "longest_seconds": 0.0, "peak_rss_gb": 0.0})
        row["jobs"] += 1
        row["seconds"] += job.seconds
        row["longest_seconds"] = max(row["longest_seconds"], job.seconds)
        row["peak_rss_gb"] = max(row["peak_rss_gb"], job.peak_rss_gb)
    return table


def peak_rss_gb(jobs: list[JobCost]) -> float:
    """The largest sum of peak memories of jobs that overlapped in time: an upper bound of what was resident at once."""
    peak = 0.0
    for moment in (job.end - job.seconds for job in jobs):
        running = [job.peak_rss_gb for job in jobs if job.end - job.seconds <= moment < job.end]
        peak = max(peak, sum(running))
    return peak
