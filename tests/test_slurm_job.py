"""What becomes of a stopped job; `scontrol` is a script that answers as SLURM does and notes what it was asked.

A real SLURM stands in tests/slurm.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.download_clips import LATER

ROOT = Path(__file__).parents[1]
SCONTROL = """#!/bin/sh
echo "$@" >> {folder}/asked
if [ "$1" = requeue ]; then {requeue}; fi
echo "JobId=7 JobState={state} TimeLimit=00:10:00 StartTime={start} EndTime={end} NumNodes=1 NumCPUs=2 Comment={comment}"
"""
# A job in a step, which is where Snakemake's plugin puts all but those with `mpi`.
WORK = "import sys, time; print('working', flush=True); time.sleep(float(sys.argv[1])); sys.exit(int(sys.argv[2]))"


class Job:
    """`scripts.launch` as a rule's command inside a job of SLURM."""

    def __init__(
        self, folder: Path, seconds: float, code: int, *words: str, ends_in: float = 600, **answers: str
    ) -> None:
        (folder / "bin").mkdir()
        (folder / "work.py").write_text(WORK)
        now = time.time()
        times = {"start": _as_slurm(now + ends_in - 600), "end": _as_slurm(now + ends_in)}
        answers = (
            {"state": "RUNNING", "comment": "rule_sample", "requeue": "exit 0", "folder": folder} | times | answers
        )
        script = folder / "bin" / "scontrol"
        script.write_text(SCONTROL.format(**answers))
        script.chmod(0o755)
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "scripts.launch", "--gpus", "0", *words, "--", "work", str(seconds), str(code)],
            env=os.environ | {"PATH": f"{folder}/bin:{os.environ['PATH']}", "PYTHONPATH": f"{ROOT}:{folder}",
                              "SLURM_JOB_ID": "7", "SLURM_PROCID": "0"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # processes in the background ignore it
        )  # fmt: skip
        assert self.process.stdout.readline() == "working\n"

    def ended(self) -> tuple[int, str]:
        """Exit code, and what was said."""
        said = self.process.communicate(timeout=60)[1]
        return self.process.returncode, said

    def requeued(self) -> bool:
        until = time.monotonic() + 20
        while self.process.poll() is None and time.monotonic() < until:
            if "requeue 7" in (self.folder / "asked").read_text():
                return True
            time.sleep(0.05)
        return False

    def kill(self) -> None:
        """What SLURM does to a job that it requeues."""
        self.process.kill()
        self.process.communicate()


def _as_slurm(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(moment))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_job_is_put_back_and_does_not_end_before_slurm_ends_it(tmp_path, number):
    job = Job(tmp_path, 60, 0, "--resumes", str(tmp_path / "0.h5"))
    job.process.send_signal(number)
    assert job.requeued()
    time.sleep(0.5)
    assert job.process.poll() is None, "an end now would be a failed job"
    job.kill()


def test_it_stops_by_the_clock(tmp_path):
    job = Job(tmp_path, 60, 0, "--resumes", str(tmp_path / "0.h5"), ends_in=22)
    assert job.requeued()
    job.kill()


def test_a_training_that_saved_is_put_back(tmp_path):
    job = Job(tmp_path, 0.1, 75, "--distributed", "--resumes", str(tmp_path / "base"))
    assert job.requeued()
    job.kill()


def test_success_and_failure_pass_through(tmp_path):
    (tmp_path / "good").mkdir(), (tmp_path / "bad").mkdir()
    assert Job(tmp_path / "good", 0, 0, "--resumes", str(tmp_path / "0.h5")).ended()[0] == 0
    assert Job(tmp_path / "bad", 0, 3, "--resumes", str(tmp_path / "0.h5")).ended()[0] == 3
    assert "requeue" not in (tmp_path / "bad" / "asked").read_text()


def test_a_site_that_asks_to_wait_is_not_asked_again_at_once(tmp_path):
    assert Job(tmp_path, 0, LATER, "--resumes", str(tmp_path / "0.h5")).ended()[0] == LATER
    assert "requeue" not in (tmp_path / "asked").read_text(), "the delay grows by failures alone"


def test_a_cancelled_job_stays_cancelled(tmp_path):
    job = Job(tmp_path, 0.5, 75, "--distributed", "--resumes", str(tmp_path / "base"), state="CANCELLED")
    code, said = job.ended()
    assert code == 75 and "SLURM says CANCELLED" in said and "requeue" not in (tmp_path / "asked").read_text()


def test_a_job_that_holds_more_than_a_rule_is_not_put_back(tmp_path):
    job = Job(tmp_path, 0.1, 75, "--distributed", "--resumes", str(tmp_path / "base"), comment="my_notebook")
    assert job.ended()[0] == 75 and "requeue" not in (tmp_path / "asked").read_text()


def test_where_requeueing_is_forbidden_retries_are_left(tmp_path):
    job = Job(
        tmp_path,
        0.1,
        75,
        "--distributed",
        "--resumes",
        str(tmp_path / "base"),
        requeue="echo Requested operation is presently disabled >&2; exit 1",
    )
    code, said = job.ended()
    assert code == 75 and "not put back into the queue (Requested operation is presently disabled)" in said


def test_two_stops_without_progress_are_a_failure(tmp_path):
    for number, ending in ((0, True), (1, False)):
        (tmp_path / str(number)).mkdir()
        job = Job(tmp_path / str(number), 60, 0, "--resumes", str(tmp_path / "0.h5"))
        job.process.send_signal(signal.SIGUSR1)
        if ending:
            assert job.requeued()
            job.kill()
        else:
            code, said = job.ended()
            assert code == 1 and "stopped for the second time" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_other_jobs_fail_when_they_are_stopped(tmp_path, number):
    job = Job(tmp_path, 60, 0)
    job.process.send_signal(number)
    assert job.ended()[0] == 128 + signal.SIGTERM and "requeue" not in (tmp_path / "asked").read_text()
