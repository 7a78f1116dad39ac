"""Settings come from the jobs of the workflow, every run's own; what cannot be run is refused."""

from __future__ import annotations

import copy
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from udpdiff import jobs
from udpdiff.config.parsing import parse
from udpdiff.training.settings import TrainingSettings
from udpdiff.workflow import jobs as workflow_jobs
from udpdiff.workflow.workflow import Workflow

RAW = yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())

SEG, DEPTH = "seg-pixelplanes-entityseg", "depth-spectral-depthcrafter"
PLAIN = {"plain": "text-plain"}
# Run -> tasks, task_condition, colormaps, streams of each task and of each style of prompts.
RUNS = {
    "base": ({}, "embedding", {}, {}, PLAIN),
    "seg": ({"seg": 1.0}, "embedding", {"seg": "pixelplanes"}, {"seg": SEG}, PLAIN),
    "depth": ({"depth": 1.0}, "embedding", {"depth": "spectral"}, {"depth": DEPTH}, PLAIN),
    "multi": (
        {"seg": 0.5, "depth": 0.5},
        "embedding",
        {"seg": "pixelplanes", "depth": "spectral"},
        {"seg": SEG, "depth": DEPTH},
        PLAIN,
    ),
    "multi_text": (
        {"seg": 0.5, "depth": 0.5},
        "text",
        {"seg": "pixelplanes", "depth": "spectral"},
        {"seg": SEG, "depth": DEPTH},
        {"seg": "text-seg", "depth": "text-depth"},
    ),
    "seg_location": ({"seg": 1.0}, "embedding", {"seg": "location"}, {"seg": "seg-location-entityseg"}, PLAIN),
    "multi_30_70": (
        {"seg": 0.3, "depth": 0.7},
        "embedding",
        {"seg": "pixelplanes", "depth": "spectral"},
        {"seg": SEG, "depth": DEPTH},
        PLAIN,
    ),
    "multi_70_30": (
        {"seg": 0.7, "depth": 0.3},
        "embedding",
        {"seg": "pixelplanes", "depth": "spectral"},
        {"seg": SEG, "depth": DEPTH},
        PLAIN,
    ),
    "depth_anything": (
        {"depth": 1.0},
        "embedding",
        {"depth": "spectral"},
        {"depth": "depth-spectral-depth_anything"},
        PLAIN,
    ),
    "seg_grid8": ({"seg": 1.0}, "embedding", {"seg": "pixelplanes"}, {"seg": "seg-pixelplanes-grid8"}, PLAIN),
    "seg_grid12": ({"seg": 1.0}, "embedding", {"seg": "pixelplanes"}, {"seg": "seg-pixelplanes-grid12"}, PLAIN),
}


def from_config(raw: dict, run: str) -> tuple[TrainingSettings, jobs.Train]:
    """Settings and job of a run, through the text that the script gets."""
    workflow = Workflow(parse(raw))
    job = jobs.Train.parse(workflow_jobs.train(workflow, run).dump())
    execution = jobs.Execution.parse(workflow_jobs.execution(workflow).dump())
    return TrainingSettings.from_job(job, execution.training[run]), job


def test_every_run_of_the_configuration_is_known_here():
    assert RAW["runs"].keys() == RUNS.keys()


@pytest.mark.parametrize("run", RUNS)
def test_settings_and_streams_of_every_run(run):
    settings, job = from_config(RAW, run)
    tasks, task_condition, colormaps, dense, text = RUNS[run]
    own = {"run": run, "seed": RAW["seed"], "tasks": tasks, "task_condition": task_condition, "colormaps": colormaps}
    library = {"dense_weight": 1.0, "validation_clips": 8}
    assert asdict(settings) == own | library | RAW["model"] | RAW["training"]
    assert list(settings.tasks) == list(tasks)
    assert job.streams == jobs.Streams(video="video", dense=dense, text=text)


def test_a_runs_own_training_overrides_the_section():
    raw = copy.deepcopy(RAW)
    raw["runs"]["seg"]["training"] = {"steps": 7, "log_every_steps": 3}
    settings, _ = from_config(raw, "seg")
    assert (settings.steps, settings.log_every_steps) == (7, 3)
    other, _ = from_config(raw, "depth")
    assert (other.steps, other.log_every_steps) == (RAW["training"]["steps"], RAW["training"]["log_every_steps"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 5, "gradient_accumulation_steps": 2}, "batch_size: got 5, expected a multiple"),
        ({"objective": "x0"}, r"objective(.|\n)*'v' or 'eps_weighted'(.|\n)*'x0'"),
        ({"task_condition": "prompt"}, "task_condition: got 'prompt'"),
        ({"tasks": {"seg": 0.5}}, "add up to 0.5, expected 1"),
        ({"steps": 0}, r"steps(.|\n)*greater than or equal to 1"),
        ({"log_every_steps": -1}, r"log_every_steps(.|\n)*greater than or equal to 1"),
    ],
)
def test_impossible_settings_are_refused(make_settings, changes, message):
    with pytest.raises(ValueError, match=message):
        make_settings(**changes)
