"""docs/add_a_task.md, followed to the letter in a copy of the project: its task trains in the graph, and its test passes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "add_a_task.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The project with the page's module, line and configuration."""
    folder = tmp_path_factory.mktemp("project")
    ignored = shutil.ignore_patterns("__pycache__", "checkpoints")
    for name in ("udpdiff", "scripts", "rules", "envs", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    (folder / "udpdiff" / "checkpoints").symlink_to(ROOT / "udpdiff" / "checkpoints")
    for name in ("Snakefile", "config.yaml"):
        shutil.copy(ROOT / name, folder / name)
    module, line, test = blocks("python")
    (folder / "udpdiff/tasks/foreground.py").write_text(module)
    (folder / "tests/tasks/test_foreground.py").write_text(test)
    registry = folder / "udpdiff/tasks/__init__.py"
    imported, registered = line.strip().split("\n\n")
    text = registry.read_text().replace(
        "from udpdiff.tasks.task import", f"{imported}\nfrom udpdiff.tasks.task import", 1
    )
    text, count = re.subn(r"TASKS: dict\[str, Task\] = .*", registered, text)
    assert count == 1, "the page replaces the one line of the registry"
    registry.write_text(text)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    added = yaml.safe_load(blocks("yaml")[0])
    for section, values in added.items():
        config[section] |= values
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    return folder


def run(folder: Path, *command: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, cwd=folder, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_its_run_is_encoded_trained_and_sampled(copy, tmp_path):
    target = "results/metrics/foreground/foreground/quality.json"
    graph = run(copy, "tests/workflow/dag_as_json.py", "tests/smoke.yaml", str(tmp_path), target)
    jobs = {job["rule"]: job for job in json.loads(graph)}
    asked = "results/samples/foreground/foreground/0.dense.h5"
    assert f"snakemake --cores all {asked}`" in PAGE and asked in json.dumps(jobs["sample"]["output"])
    latents = jobs["train"]["input"]["latents"]
    assert "results/latents/foreground-grey-depthcrafter/train/0.h5" in latents
    assert json.loads(jobs["compare_samples"]["params"]["job"])["options"] == {"threshold": 0.5}


def test_its_test_passes_and_its_figures_have_names(copy):
    told = run(copy, "-m", "pytest", "-n0", "-q", "-p", "no:cacheprovider", "tests/tasks/test_foreground.py")
    assert "2 passed" in told
    run(copy, "-c", 'from udpdiff.metrics.registry import describe; assert describe("foreground_iou_shuffled").label')
