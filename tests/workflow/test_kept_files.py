"""`storage.keep: needed`: latents of one run alone come in turn, go after its training, and nothing is done twice."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from every_job import changed, workflow_of

ROOT = Path(__file__).parents[2]
CONFIG = {
    "clips": {"train": 2, "evaluation": 2, "shard_clips": 2},
    "encoding": {"text": "live"},
    "training": {"steps": 2, "batch_size": 2, "warmup_steps": 1, "checkpoint_every_steps": 2},
    # Of the runs shown, two have a stream of their own.
    "runs": {"normals": {"tasks": {"normals": 1.0}}},
    "report": {"tables": [8], "contact_sheet": 2, "examples": 2},
    "storage": {"keep": "needed"},
}
RUNS = ["depth", "depth_anything", "normals"]
PASSING = ["depth-spectral-depth_anything", "normals-rgb-depthcrafter"]


def test_streams_of_one_run_pass_and_wait_for_the_one_before():
    flow = workflow_of(changed("storage.keep", "needed"))
    assert flow.passing_streams() == {
        "seg-location-entityseg": "seg_location",
        "depth-spectral-depth_anything": "depth_anything",
        "seg-pixelplanes-grid8": "seg_grid8",
        "seg-pixelplanes-grid12": "seg_grid12",
    }
    waits = [flow.runs_before("train", "latents", stream) for stream in flow.passing_streams()]
    assert waits == [[], ["results/runs/seg_location"], ["results/runs/depth_anything"], ["results/runs/seg_grid8"]]
    assert workflow_of(changed("storage.keep", "all")).passing_streams() == {}


def test_labels_of_one_run_pass_unless_the_report_shows_them():
    """The contact sheet of a source without truth takes training clips where there are few evaluation clips."""
    flow = workflow_of(changed("storage.keep", "needed"))
    assert flow.passing_labellers("depth") == {"depth_anything": "depth_anything"}
    assert flow.passing_labellers("entities") == {"grid8": "seg_grid8", "grid12": "seg_grid12"}
    assert flow.runs_before("train", "entities", "grid12") == ["results/runs/seg_grid8"]
    assert flow.runs_before("evaluation", "entities", "grid12") == []
    assert flow.runs_before("train", "entities", "entityseg") == []
    raw = changed("storage.keep", "needed")
    raw["source"] |= {"kind": "panda70m", "path": "table.csv"}
    assert workflow_of(raw).passing_labellers("depth") == workflow_of(raw).passing_labellers("entities") == {}


def test_no_run_waits_for_one_that_is_not_shown():
    raw = changed("storage.keep", "needed")
    raw["report"]["tables"] = [9]
    flow = workflow_of(raw)
    assert flow.runs_before("train", "latents", "seg-pixelplanes-grid8") == []
    assert flow.runs_before("train", "latents", "seg-location-entityseg") == []
    assert flow.runs_before("train", "latents", "seg-pixelplanes-grid12") == ["results/runs/seg_grid8"]


def snakemake(folder: Path, config: dict, *arguments: str, **variables: str) -> subprocess.CompletedProcess:
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = ["--directory", str(folder), "--configfile", str(folder / "config.yaml"), *arguments]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *command],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment | variables,
    )


def left_to_do(folder: Path, config: dict, *options: str) -> dict[str, int]:
    targets = [f"results/runs/{run}" for run in RUNS]
    done = snakemake(folder, config, "-n", "--quiet", "rules", *options, "--", *targets)
    assert done.returncode == 0, done.stderr
    return {rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", done.stdout, re.M) if rule != "total"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, forked_jobs) -> Path:
    """A folder with three trained runs."""
    folder = tmp_path_factory.mktemp("kept")
    done = snakemake(folder, CONFIG, "--cores", "2", "--", *(f"results/runs/{run}" for run in RUNS), **forked_jobs)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]
    return folder


def test_what_one_run_alone_needed_is_gone_and_the_rest_is_there(trained):
    kept = {path.relative_to(trained / "results/latents").parts[0] for path in (trained / "results").rglob("train/*.h5")
            if "latents" in path.parts}  # fmt: skip
    assert kept == {"video", "depth-spectral-depthcrafter"}, "prompts are encoded by the trainer"
    for labeller, shards in (("depthcrafter", 1), ("depth_anything", 0)):
        folder = trained / f"results/depth/{labeller}/train"
        assert len(list(folder.glob("*.h5"))) == shards
        assert len(list(folder.glob("*.mean.npz"))) == len(list(folder.glob("*.json"))) == 1, "figures stay"


def test_a_second_run_has_nothing_to_do(trained):
    assert left_to_do(trained, CONFIG) == {}


def test_a_changed_run_makes_its_own_streams_again_and_touches_no_other(trained):
    other = CONFIG | {"runs": CONFIG["runs"] | {"depth_anything": {"training": {"learning_rate": 1e-5}}}}
    assert left_to_do(trained, other) == {
        "estimate_run_depth": 1,
        "encode_run_latents": 1,
        "train": 1,
    }


def test_another_preset_for_files_reruns_no_training(trained):
    everything = CONFIG | {"storage": {"keep": "all"}}
    assert "train" not in left_to_do(trained, everything, "--rerun-triggers", "mtime", "params")
