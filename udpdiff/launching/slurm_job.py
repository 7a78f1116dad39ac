"""A process inside a job of SLURM: watched until the job's last moment, and put back into the queue when it was stopped.

An interruption is no failure: the job keeps its number, so Snakemake sees it waiting, then running, and spends no retry.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import FrameType

from udpdiff.interruption import EXIT_CODE, SIGNALS, heeded_signals
from udpdiff.launching.commands import Allocation
from udpdiff.launching.stops import Stops

ASK_SECONDS = 30
# Between questions to a controller that is too busy to answer: a job that does not know its end cannot save before it.
PAUSES_SECONDS = (5, 20, 60)
_BUSY = ("Unable to contact", "timed out")
# SLURM ends a job that it requeues within its KillWait; a launcher that went before would make it look failed.
REQUEUE_SECONDS = 300


def ask_slurm(job_id: str) -> Allocation | None:
    """Return what SLURM says of a job; None, with a warning, where it does not answer."""
    command = ["scontrol", "show", "job", "-o", job_id]
    for pause in (*PAUSES_SECONDS, None):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=ASK_SECONDS)
            return Allocation.parse(done.stdout or done.stderr)
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            if pause is None or not any(words in str(error) for words in _BUSY):
                _say(f"{' '.join(command)} told nothing ({error}); the time limit is not known")
                return None
            time.sleep(pause)
    return None


def run_watched(
    command: Sequence[str], environment: Mapping[str, str], last_moment: float | None, stop: signal.Signals
) -> tuple[int, bool]:
    """Run a command, and stop it where it is still running at the last moment.

    Signals to stop that reach this process are passed on as `stop`: srun takes SIGTERM for an order to kill its tasks, SIGINT
    for a question how they are, and hands SIGUSR1 to them.

    Returns:
        Its exit code, 128 + N after signal N, and whether it was stopped: by the clock, or as its exit says. By the clock
        it may still be running, and ends with the job.
    """
    process = subprocess.Popen(command, env=dict(environment))

    def pass_on(number: int, frame: FrameType | None) -> None:
        process.send_signal(stop)

    former = {number: signal.signal(number, pass_on) for number in heeded_signals()}
    try:
        code = _wait(process, last_moment)
        if code is None:
            process.send_signal(stop)
            return EXIT_CODE, True
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    code = 128 - code if code < 0 else code
    return code, code == EXIT_CODE or code - 128 in SIGNALS


def _wait(process: subprocess.Popen, last_moment: float | None) -> int | None:
    while True:
        left = None if last_moment is None else last_moment - time.time()
        if left is not None and left <= 0:
            return process.poll()
        try:
            # In pieces, for a machine that was suspended wakes with another clock.
            return process.wait(timeout=None if left is None else min(left, 60.0))
        except subprocess.TimeoutExpired:
            continue


def after_stop(job_id: str, stops: Stops) -> int:
    """Put a stopped job back into the queue and wait for the end that this brings.

    Returns:
        The exit code where it does not come: 75 when the job is to be started again by others, 1 when it gets nowhere.
    """
    allocation = ask_slurm(job_id)
    if allocation is not None and allocation.state != "RUNNING":
        _say(f"stopped: SLURM says {allocation.state}")
        return EXIT_CODE
    if not stops.note():
        _say("stopped for the second time without a further clip or step kept: one takes longer than the job may run")
        return 1
    if allocation is None or not allocation.by_snakemake:
        return EXIT_CODE
    done = subprocess.run(["scontrol", "requeue", job_id], capture_output=True, text=True)
    if done.returncode:
        _say(f"stopped, and not put back into the queue ({done.stderr.strip()}); Snakemake's retries start it again")
        return EXIT_CODE
    _say(f"stopped, what is done is kept; job {job_id} waits in the queue to go on")
    _outlive_the_job()
    return EXIT_CODE


def _outlive_the_job() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    time.sleep(REQUEUE_SECONDS)


def _say(message: str) -> None:
    print(f"launch: {message}", file=sys.stderr, flush=True)


def in_batch_step(environment: Mapping[str, str]) -> bool:
    """Return whether a job of SLURM runs this process outside of any step, so that steps are this process's to start.

    Snakemake's rules find themselves there under `mpi: srun`; its jobstep removes all other variables of SLURM.
    """
    return "SLURM_JOB_ID" in environment and "SLURM_PROCID" not in environment
