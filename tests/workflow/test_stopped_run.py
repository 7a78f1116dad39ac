"""A run that a user stops: how is said at the start, how to go on is the last that is said, and a training is saved."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from udpdiff.training.checkpoint import checkpoint_steps
from udpdiff.training.log import read_log

ROOT = Path(__file__).parents[2]


def snakemake(folder: Path, *arguments: str, **variables: str) -> subprocess.Popen:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "snakemake", "--directory", str(folder)]
    return subprocess.Popen(
        [*command, "--configfile", str(ROOT / "tests/smoke.yaml"), *arguments],
        cwd=ROOT,
        env=environment | variables,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # processes in the background ignore it
    )


def read_until(run: subprocess.Popen, pattern: str) -> list[str]:
    told = []
    for line in run.stderr:
        told.append(line.strip())
        if re.search(pattern, line):
            return told
    raise AssertionError("\n".join(told))


def press_ctrl_c(run: subprocess.Popen) -> None:
    os.killpg(run.pid, signal.SIGINT)  # a terminal sends it to every process


def test_ctrl_c_ends_with_what_to_do(tmp_path):
    with snakemake(tmp_path, "--cores", "1", "--", "show_labels") as run:
        told = read_until(run, r"render_scenes \(log: ")
        log = tmp_path / re.search(r"\(log: (.*?)\)", told[-1])[1]
        while not log.exists():  # the job runs, and Snakemake waits for it
            time.sleep(0.1)
        time.sleep(0.5)
        press_ctrl_c(run)
        told += map(str.strip, run.stderr)
    assert run.returncode != 0
    [first] = [line for line in told if line.startswith("Ctrl-C stops it, the same command goes on")]
    page = (tmp_path / "results/labels/data_set.html").resolve()  # the user stands elsewhere
    assert first.endswith(f"; the labels will be {page}."), "and no report, which nobody asked for"
    last = [line for line in told if line][-1]
    assert "The same command goes on where it stopped." in last and ".snakemake/log/" in last


def test_ctrl_c_lets_a_training_save_the_step_that_it_has_come_to(tmp_path, forked_jobs):
    training = "{steps: 9999, checkpoint_every_steps: 9999, log_every_steps: 1}"
    settings = ["--config", "clips={train: 4, evaluation: 2}", f"training={training}"]
    target = ["--", "results/runs/base"]
    with snakemake(tmp_path, "--cores", "2", "--omit-from", "train", *settings, *target, **forked_jobs) as run:
        told = run.communicate()[1]
    assert run.returncode == 0, told

    state = tmp_path / "results/training/base"
    with snakemake(tmp_path, "--cores", "2", "--retries", "2", *settings, *target) as run:
        read_until(run, r"train \(log: ")
        while len(read_log(state / "train.jsonl")) < 2:
            assert run.poll() is None, run.stderr.read()
            time.sleep(0.1)
        press_ctrl_c(run)
        told = run.stderr.read()
    [saved] = checkpoint_steps(state)
    assert saved == read_log(state / "train.jsonl")[-1]["step"] >= 2
    said = f"base: asked to stop; saved step {saved} of 9999, goes on"
    assert said in (tmp_path / "logs/train/base.log").read_text(), "the log's tee lives as long as the training"
    assert run.returncode != 0 and "train (log" not in told, "it is not tried again"
    assert "Error in rule" not in told and "--job" not in told, "and it is no failure, whose command would be shown"
