"""Lines of README and docs that begin with snakemake: each is planned, by a dry run, in a folder with what only users have."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from snakemake.cli import parse_args
from test_documented_commands import PAGES, commands

from udpdiff import checkpoints
from udpdiff.sources import panda70m_table
from udpdiff.video_io import write_mp4

ROOT = Path(__file__).parents[2]
LINES = sorted({line for page in PAGES for line in commands(page) if line.startswith("snakemake ")})
# A task that the page adds, a run that was killed or is done, an installed package, and what is refused without a file: each
# has a test of its own.
OF_OTHERS = ("foreground", "--unlock", "--report", "--snakefile", "--profile slurm all")
# Of the default configuration: their targets are planned together.
MINI = re.compile(r"--config|--profile|--resources|-n|snakemake --cores all$")
OTHER = [line for line in LINES if MINI.search(line) and not any(other in line for other in OF_OTHERS)]
OF_THE_SCALE = [line for line in LINES if not MINI.search(line) and not any(other in line for other in OF_OTHERS)]
LAB = "source: {path: table.csv}\nlabels: {entities: {entityseg: {segmenter: cropformer}}}\n"
FEW = "clips: {train: 4, evaluation: 4}\n"  # which plan the same rules in seconds


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder where lines are typed: profiles, what only a lab can give, and eight videos with captions."""
    folder = tmp_path_factory.mktemp("place")
    for name in ("slurm", "mycluster"):
        shutil.copytree(ROOT / "slurm", folder / name)
    (folder / "cropformer").symlink_to(checkpoints.resolve("mini:cropformer"))
    (folder / "table.csv").write_text(",".join(panda70m_table.COLUMNS) + "\n")
    (folder / "lab.yaml").write_text(LAB + FEW)
    (folder / "FILE").write_text("model: {init_in: copy}\n")
    [videos] = re.findall(r"`my_videos.yaml`:\n\n```yaml\n(.*?)```", (ROOT / "docs" / "data.md").read_text(), re.DOTALL)
    (folder / "my_videos.yaml").write_text(videos)
    (folder / "path/to/clips").mkdir(parents=True)
    names = [f"film{number}.mp4" for number in range(8)]
    for name in names:
        write_mp4(folder / "path/to/clips" / name, np.zeros((16, 64, 64, 3), np.uint8), 8.0)
    (folder / "path/to/captions.csv").write_text("clip,caption\n" + "".join(f"{name},A film.\n" for name in names))
    return folder


def dry_run(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "snakemake", "--snakefile", ROOT / "Snakefile", "-n", "--quiet", "rules", *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run([*map(str, command)], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def parsed(line: str):
    try:
        return parse_args(shlex.split(line)[1:])[1]
    except SystemExit:
        pytest.fail(line)


def test_every_line_is_planned_or_has_its_test(place, monkeypatch):
    monkeypatch.chdir(place)
    others = [line for line in LINES if any(other in line for other in OF_OTHERS)]
    assert len(LINES) > 25 and all(parsed(line) for line in LINES if "$(" not in line)
    assert {*OTHER, *OF_THE_SCALE, *others} == {*LINES} and all(name in " ".join(others) for name in OF_OTHERS)


def test_targets_of_the_mini_scale_are_there(place, monkeypatch):
    monkeypatch.chdir(place)
    targets = {target for line in OF_THE_SCALE for target in parsed(line).targets}
    assert len(targets) > 8
    dry_run(place, "--cores", "1", "--directory", str(place / "work"), "--", *targets)


@pytest.mark.parametrize("line", OTHER)
def test_a_line_for_other_scales_and_data_is_planned(place, line):
    told = dry_run(place, *shlex.split(line)[1:])
    preset = re.search(r"preset=(\w+)", line) or re.search(r"--profile (slurm|mycluster)", line)
    if preset:
        name = "paper" if preset[1] in ("slurm", "mycluster") else preset[1]
        assert f"presets/{name}.yaml" in told
    elif "my_videos.yaml" in line:
        rules = set(re.findall(r"(?m)^(\w+) +\d+$", told))
        assert "cut_videos" in rules and ("train" in rules) == ("show_labels" not in line)
