"""A wheel, built and installed as a user would: the command, the checkpoints and the workflow are there; an sdist holds no results."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
NOT_OURS = shutil.ignore_patterns(
    ".git", "results", "work", "build", ".snakemake", "*.egg-info", "__pycache__", ".*_cache", ".venv", "logs"
)
BUILD = (
    "import sys\nfrom setuptools import build_meta\n"
    "out = sys.argv[1]\nbuild_meta.build_sdist(out)\nbuild_meta.build_wheel(out)\nbuild_meta.build_editable(out + '/editable')"
)


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A copy that someone has worked in."""
    source = tmp_path_factory.mktemp("above") / "udpdiff"
    shutil.copytree(ROOT, source, ignore=NOT_OURS)
    for used in ("results/table1.csv", "benchmarks/train/multi.tsv", "logs/train.log", ".snakemake/log/a.log"):
        (source / used).parent.mkdir(parents=True, exist_ok=True)
        (source / used).write_text("made by a run")
    return source


@pytest.fixture(scope="module")
def built(clone, tmp_path_factory) -> Path:
    """A folder with a wheel, an sdist and an editable wheel in `editable`, built without network or isolation."""
    out = tmp_path_factory.mktemp("dist")
    (out / "editable").mkdir()
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", BUILD, str(out)], cwd=clone, env=environment, check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory) -> Path:
    target = tmp_path_factory.mktemp("site")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--no-compile",
        "--target",
        str(target),
    ]
    subprocess.run([*pip, *map(str, built.glob("*.whl"))], check=True)
    return target


def ran(installed: Path, folder: Path, *words: str) -> str:
    command = [sys.executable, str(installed / "bin" / "udpdiff"), *words]
    environment = os.environ | {"PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_wheel_holds_all_that_the_package_reads_and_nothing_else(built):
    names = set(zipfile.ZipFile(next(built.glob("*.whl"))).namelist())
    here = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "udpdiff").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not any(part[0] == "." for part in path.parts[-2:])
    }
    assert here <= names
    workflow = {name.removeprefix("udpdiff/_workflow/") for name in names if name.startswith("udpdiff/_workflow/")}
    wanted = {"Snakefile", "config.yaml", "config.schema.json", "presets/paper.yaml", "profiles/default/config.yaml"}
    assert (
        wanted | {"docs/quality.json", "rules/common.smk", "scripts/train.py", "slurm/config.yaml", "envs/udpdiff.yaml"}
        <= workflow
    )
    assert {name.split("/")[0] for name in names} == {"udpdiff", "udpdiff-0.1.0.dist-info"}
    assert not [name for name in names if "results" in name.split("/") or "tests" in name.split("/")]


def test_an_sdist_holds_the_sources_and_no_results(built):
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "Snakefile",
        "setup.py",
        "LICENSE",
        "rules/common.smk",
        "tests/conftest.py",
        "docs/use.md",
        "CITATION.cff",
    } <= names
    assert {"constraints.txt", "benchmarks/shapes.py", "udpdiff/checkpoints/digests.json"} <= names
    assert not [name for name in names if name.startswith(("results", "logs", ".snakemake", "benchmarks/train/"))]


def test_an_editable_install_is_found_from_the_folder_above_the_clone(built, clone, tmp_path):
    """There the clone has the package's name, and is one itself to Python, without a module, where nothing else is found."""
    zipfile.ZipFile(next((built / "editable").glob("*.whl"))).extractall(tmp_path)
    code = f"import site; site.addsitedir({str(tmp_path)!r}); import udpdiff; print(udpdiff.__file__)"
    command = [sys.executable, "-S", "-E", "-c", code]  # without what is installed beside the tests
    done = subprocess.run(command, cwd=clone.parent, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == str(clone / "udpdiff" / "__init__.py")


def test_the_installed_command_generates(installed, tmp_path):
    assert "generate" in ran(installed, tmp_path, "--help")
    model = untrained_model(tmp_path / "model")
    told = ran(
        installed, tmp_path, "generate", "A red ball.", "--model", str(model), "--steps", "1", "--guidance", "1",
        "--height", "32", "--width", "32", "--device", "cpu", "--out", "made",
    )  # fmt: skip
    assert "made/video.mp4" in told.split()
    assert np.load(tmp_path / "made" / "depth.npy").shape == (9, 32, 32)


def test_the_installed_workflow_runs_in_any_folder(installed, tmp_path):
    snakefile = Path(ran(installed, tmp_path, "workflow", "--path").strip())
    assert snakefile == installed / "udpdiff" / "_workflow" / "Snakefile"
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(snakefile), "--cores", "1"]
    small = [
        "--config",
        "clips={height: 16, width: 16, train: 2, evaluation: 2, shard_clips: 2}",
        "filters={min_motion: 0.0}",
    ]
    environment = os.environ | {"PYTHONPATH": str(installed)}

    def snakemake(*words: str) -> str:
        done = subprocess.run([*command, *words], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    snakemake("results/clips/train/0.h5", *small)  # a script of the installed workflow, which makes something
    assert (tmp_path / "results/clips/train/0.h5").is_file()


def test_documented_lines_start_the_installed_workflow(installed, tmp_path):
    lines = re.findall(r"(?m)^snakemake --snakefile .*$", (ROOT / "docs" / "use.md").read_text())
    assert len(lines) == 2
    (tmp_path / "lab.yaml").write_text("seed: 8\n")
    programs = os.pathsep.join((str(installed / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]))
    environment = os.environ | {"PYTHONPATH": str(installed), "PYTHONSAFEPATH": "1", "PATH": programs}
    for line in lines:
        # What would run; of the profile's scale that which needs nothing of the user.
        line = line.replace("snakemake ", "snakemake -n ", 1).replace(" -- all", " --config preset=rehearsal -- all")
        done = subprocess.run(line, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        told = done.stdout + done.stderr
        assert "render_report" in told and "train" in told and str(installed / "udpdiff/_workflow") in told, told


def untrained_model(folder: Path) -> Path:
    """The mini base widened, in the form of an exported run."""
    import torch

    from udpdiff.checkpoints import resolve
    from udpdiff.model.loading import widened_pipeline
    from udpdiff.training.export import pipeline_index

    entries = {"task_condition": "embedding", "tasks": {"depth": "spectral"}}
    pipeline = widened_pipeline("mini:cogvideox", entries["tasks"], dtype=torch.bfloat16)
    pipeline.transformer.save_pretrained(folder / "transformer")
    index = pipeline_index(Path(resolve("mini:cogvideox")), entries)
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "run.json").write_text(
        json.dumps({"run": "depth", "base": "mini:cogvideox", "export": "transformer", **entries})
    )
    return folder
