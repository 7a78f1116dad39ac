"""Clone, work folder and interpreter in folders of odd names: the same results, and nothing in a name is carried out."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from finished_run import CONFIG
from job_process import ROOT

pytestmark = pytest.mark.faults

NAMES = (
    "my projects",
    "R&D",
    "it's",
    "a;b",
    "{x}",
    "größe",
    "$(touch F)",
    'a"b',
    "`touch F`",
    "*",
    "%s",
    "-n",
    "a\\b",
    "!1",
)
TARGET = "results/captions/evaluation/0.parquet"
CHAIN = (TARGET, "results/clips/evaluation/0.h5", "results/clips/evaluation/0.json")


@pytest.mark.parametrize("what", ["clone", "work folder", "interpreter"])
def test_odd_folders(what, finished, tally, tries, tmp_path):
    kind = f"odd folders: {what}"
    for number, name in enumerate(NAMES if tries > 1 else NAMES[:7]):
        folder = tmp_path / str(number) / name
        folder.mkdir(parents=True)
        clone, work, python = ROOT, tmp_path / str(number) / "work", Path(sys.executable)
        if what == "clone":
            clone = _clone(folder / "clone")
        elif what == "work folder":
            work = folder
        else:
            (folder / "environment").symlink_to(sys.prefix)
            python = folder / "environment" / "bin" / python.name
        told = _make(clone, work, python)
        faults = [told] if told else [fault for path in CHAIN for fault in finished.differences(path, work)]
        faults += [f"{path} was made" for path in (*tmp_path.rglob("F"), *ROOT.glob("F"))]
        tally.note(kind, "wrong" if faults else "survived", f"{name}: {faults}")
    assert not tally.wrong(kind)


def test_a_colon_is_refused(tally, tmp_path):
    """PATH and PYTHONPATH cannot hold one."""
    told = _make(_clone(tmp_path / "a:b"), tmp_path / "work", Path(sys.executable))
    refused = ":" in told and "Traceback" not in told
    tally.note("odd folders: clone", "refused" if refused else "wrong", f"a:b: {told}")
    assert refused


def _clone(folder: Path) -> Path:
    """A copy of the files that belong to the project."""
    folder.mkdir()
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["cp", "--parents", "-t", folder, "--", *names.decode().split("\0")[:-1]], cwd=ROOT, check=True)
    return folder


def _make(clone: Path, work: Path, python: Path) -> str:
    """Make one shard of clips and its captions. Returns the end of what was said, if it failed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHONPATH"))}
    done = subprocess.run(
        [python, "-m", "snakemake", "--snakefile", clone / "Snakefile", "--directory", work, "--configfile", CONFIG,
         "--cores", "2", "--", TARGET],
        cwd=clone, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    return (done.stdout + done.stderr)[-3000:] if done.returncode else ""
