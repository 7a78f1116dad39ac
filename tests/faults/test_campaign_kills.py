"""SIGKILL at random times, of a job and of Snakemake itself, in every rule; then the command that the README names."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from finished_run import FinishedRun, remove, snakemake
from job_process import Job
from source_runs import SOURCES

pytestmark = pytest.mark.faults

VICTIMS = ("the job", "Snakemake", "both")
PATIENCE_SECONDS = 300
START_SECONDS = 5  # that a process takes before its work begins


def test_every_rule_survives_kills(finished, tally, rng, tries, tmp_path):
    folder = finished.copy(tmp_path / "work")
    for rule in finished.rules():
        for _ in range(tries):
            job = rng.choice(finished.of_rule(rule))
            killed = _kill_and_go_on(finished, job, folder, rng)
            tally.note("SIGKILL of " + killed[0], *killed[1:])
    assert not tally.wrong("SIGKILL")


@pytest.mark.parametrize("kind", sorted(SOURCES))
def test_sources_survive_kills(kind, tally, rng, tries, tmp_path):
    run = SOURCES[kind](tmp_path)
    folder = run.copy(tmp_path / "work")
    for job in {job.rule: job for job in run.jobs}.values():
        for _ in range(tries):
            killed = _kill_and_go_on(run, job, folder, rng)
            tally.note("SIGKILL of " + killed[0], *killed[1:])
    assert not tally.wrong("SIGKILL")


def _kill_and_go_on(run: FinishedRun, job: Job, folder: Path, rng: random.Random) -> tuple[str, str, str]:
    """Make one job's outputs anew, killed on the way. Returns the victim, the outcome and what went wrong."""
    victim, after = rng.choice(VICTIMS), rng.uniform(0, START_SECONDS + job.seconds)
    for path in (*job.outputs, *job.leftovers):
        remove(folder / path)
    started = snakemake(folder, "--cores", "2", "--", job.outputs[0], config=run.config)
    script = _wait_for_script(started, job.module)
    time.sleep(after)
    orphans = _kill(started, script, victim)
    started.communicate()
    if victim != "the job":
        # As the README says: once none of its jobs runs any more.
        psutil.wait_procs(orphans, timeout=PATIENCE_SECONDS)
        snakemake(folder, "--unlock", config=run.config).communicate()
    told = _go_on(run, job, folder)
    faults = [told] if told else [fault for path in job.outputs for fault in run.differences(path, folder)]
    # What a killed job costs is shown in the report.
    shutil.rmtree(folder / "benchmarks", ignore_errors=True)  # not every rule has one
    run.restore(
        folder, *job.outputs, *(path for path in ("benchmarks", *job.leftovers) if (run.folder / path).exists())
    )
    what = f"{job.rule} {job.name}, {after:.1f} s after its start: {faults}"
    return victim, "wrong" if faults else "survived", what


def _go_on(run: FinishedRun, job: Job, folder: Path) -> str:
    """Start again. Returns the end of what was said, if it failed."""
    again = snakemake(folder, "--cores", "2", "--", job.outputs[0], config=run.config)
    told = again.communicate()[0]
    return told[-3000:] if again.returncode else ""


def _wait_for_script(started: subprocess.Popen, module: str) -> psutil.Process | None:
    """The job's own process, as soon as it is there; None where all is over before."""
    until = time.monotonic() + PATIENCE_SECONDS
    while started.poll() is None and time.monotonic() < until:
        for process in _below(started.pid):
            with contextlib.suppress(psutil.Error):
                if module in process.cmdline():
                    return process
        time.sleep(0.02)
    return None


def _kill(started: subprocess.Popen, script: psutil.Process | None, victim: str) -> list[psutil.Process]:
    """Kill without a warning. Returns the processes that live on."""
    jobs = _below(started.pid)
    if victim == "the job" and script:
        doomed = [script]
    elif victim == "both":
        doomed = [*jobs]
    else:
        doomed = []
    if victim != "the job":
        started.send_signal(signal.SIGKILL)
    for process in doomed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    return [] if victim == "the job" else [process for process in jobs if process not in doomed]


def _below(pid: int) -> list[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return psutil.Process(pid).children(recursive=True)
    return []
