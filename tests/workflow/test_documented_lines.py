"""Lines of README and docs that begin with snakemake: options that it has, profiles, presets and targets that are there."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from snakemake.cli import parse_args
from test_documented_commands import PAGES, commands

ROOT = Path(__file__).parents[2]
LINES = sorted({line for page in PAGES for line in commands(page) if line.startswith("snakemake ")})
# Lines with files of the user's, and the line of a task that the page adds; each has its test.
OF_OTHERS = ("foreground", "my_videos.yaml", "prefetch", "lab.yaml", "FILE", "--profile")
OF_THE_SCALE = [line for line in LINES if "preset=" not in line and not any(other in line for other in OF_OTHERS)]


@pytest.fixture
def parsed(tmp_path, monkeypatch):
    """A function from a line to its arguments, in a folder with the files that lines name."""
    monkeypatch.chdir(tmp_path)
    for name in ("slurm", "mycluster"):
        shutil.copytree(ROOT / "slurm", tmp_path / name)
    for name in ("lab.yaml", "my_videos.yaml", "FILE"):
        (tmp_path / name).write_text("seed: 7\n")

    def arguments(line: str):
        try:
            return parse_args(shlex.split(line)[1:])[1]
        except SystemExit:
            pytest.fail(line)

    return arguments


def dry_run(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "-n", "--quiet", *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run([*map(str, command)], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_options_are_those_of_snakemake(parsed):
    assert len(LINES) > 25 and all(parsed(line) for line in LINES)


def test_targets_of_the_mini_scale_are_there(parsed, tmp_path):
    targets = {target for line in OF_THE_SCALE for target in parsed(line).targets}
    assert len(targets) > 8
    dry_run(tmp_path, "--cores", "1", "--directory", str(tmp_path / "work"), "--", *targets)


def test_the_scale_for_hours_is_run_as_its_line_says(tmp_path):
    [line] = [line for line in LINES if "preset=hours" in line]
    assert "presets/hours.yaml: 960 training" in dry_run(tmp_path, *shlex.split(line)[1:])
