"""`scripts.launch` on one machine, as rules call it: a plain process, or several by torchrun, with their exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHOW = """
import os, sys
rank = os.environ.get("RANK", "none")
words = rank, os.environ.get("WORLD_SIZE"), os.environ.get("CUDA_VISIBLE_DEVICES"), sys.argv[1:]
os.write(1, (" ".join(map(str, words)) + "\\n").encode())  # at once, so that lines of two processes stay apart
sys.exit(int(sys.argv[1]))
"""
SAVE = """
import os, signal, sys, time
asked = []
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: asked.append(1))
open(sys.argv[1] + "/ready" + os.environ["RANK"], "w")
while not asked:
    time.sleep(0.05)
time.sleep(1.0)
open(sys.argv[1] + "/saved" + os.environ["RANK"], "w")
sys.exit(75)
"""


def launched(folder: Path, *words: str, code: str = SHOW, **variables: str) -> subprocess.Popen:
    (folder / "work.py").write_text(code)
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    environment |= {"PYTHONPATH": f"{ROOT}:{folder}", "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"} | variables
    command = [sys.executable, "-m", "scripts.launch", *words]
    return subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE, text=True)


def test_without_a_gpu_it_is_one_plain_process_whatever_is_asked(tmp_path):
    started = launched(tmp_path, "--gpus", "8", "--distributed", "--", "work", "3", "--", "x", PATH="/usr/bin:/bin")
    assert started.communicate()[0] == "none None None ['3', '--', 'x']\n" and started.returncode == 3


def test_a_configured_cpu_takes_no_gpu(tmp_path):
    started = launched(tmp_path, "--", "work", "0", CUDA_VISIBLE_DEVICES="5", EXECUTION='{"device": "cpu"}')
    assert started.communicate()[0] == "none None 5 ['0']\n"
    assert not list(tmp_path.glob("udpdiff-gpus-*")), "nothing was locked"


def test_a_delayed_start(tmp_path):
    begun = time.monotonic()
    assert launched(tmp_path, "--gpus", "0", "--delay", "0.02", "--", "work", "0").communicate()[0]
    assert time.monotonic() - begun > 1.2


@pytest.mark.parametrize("code", [0, 3, 75])
def test_one_process_for_each_gpu(tmp_path, code):
    words = ("--gpus", "2", "--distributed", "--", "work", str(code))
    started = launched(tmp_path, *words, CUDA_VISIBLE_DEVICES="4,6,7")
    printed = started.communicate()[0]
    expected = {f"{rank} 2 4,6 ['{code}']" for rank in (0, 1)}
    # A process that fails first ends the other, maybe before it has printed.
    assert set(printed.splitlines()) == expected or (code and set(printed.splitlines()) < expected)
    assert started.returncode == code


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_every_process_and_they_have_the_time_to_save(tmp_path, number):
    words = ("--gpus", "2", "--distributed", "--", "work", str(tmp_path))
    started = launched(tmp_path, *words, code=SAVE, CUDA_VISIBLE_DEVICES="0,1")
    until = time.monotonic() + 60
    while len(list(tmp_path.glob("ready*"))) < 2 and time.monotonic() < until:
        time.sleep(0.05)
    started.send_signal(number)
    started.communicate(timeout=60)
    assert len(list(tmp_path.glob("saved*"))) == 2 and started.returncode == 75
