"""A run that a user stops: how is said at the start, and how to go on is the last that is said."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_ctrl_c_ends_with_what_to_do(tmp_path):
    command = [sys.executable, "-m", "snakemake", "--directory", tmp_path, "--configfile", ROOT / "tests/smoke.yaml"]
    command += ["--cores", "1", "--", "show_labels"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    with subprocess.Popen(
        [*map(str, command)],
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # processes in the background ignore it
    ) as run:
        told = []
        for line in run.stderr:
            told.append(line.strip())
            if started := re.search(r"render_scenes \(log: (.*?)\)", line):
                while not (tmp_path / started[1]).exists():  # the job runs, and Snakemake waits for it
                    time.sleep(0.1)
                time.sleep(0.5)
                os.killpg(run.pid, signal.SIGINT)  # a terminal sends it to every process
                break
        told += map(str.strip, run.stderr)
    assert run.returncode != 0
    [first] = [line for line in told if line.startswith("Ctrl-C stops it, the same command goes on")]
    assert first.endswith("; the labels will be results/labels/data_set.html."), "and no report, which nobody asked for"
    last = [line for line in told if line][-1]
    assert "The same command goes on where it stopped." in last and ".snakemake/log/" in last
