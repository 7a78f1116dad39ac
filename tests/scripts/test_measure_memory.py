"""Steps are measured by batch size in processes of their own, what does not fit is a row, and the plan takes it."""

from __future__ import annotations

import copy
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import yaml

from udpdiff.config import parsing as config_parsing
from udpdiff.planning.devices import DEVICES
from udpdiff.planning.plan import Plan
from udpdiff.workflow import jobs as workflow_jobs
from udpdiff.workflow.workflow import Workflow

ROOT = Path(__file__).parents[2]
TOO_MUCH = 65_536  # samples, whose latents take 6.4 GB
ADDRESSES = 8 * 10**9  # bytes that a process may have, so that no machine can hold them


def small() -> Workflow:
    raw = copy.deepcopy(yaml.safe_load((ROOT / "config.yaml").read_text()))
    raw["training"] |= {"batch_size": 2, "mixed_precision": "no", "optimizer": "adamw"}
    return Workflow(config_parsing.parse(raw | {"device": "cpu"}))


def test_measured_steps_and_the_plan(tmp_path):
    flow = small()
    job = workflow_jobs.measure_memory(flow)
    assert job.batches == (1, 2, 4, 8) and job.train.run == "seg"
    job = job.model_copy(update={"batches": (2, TOO_MUCH, 1)})
    command = [sys.executable, "-m", "scripts.measure_memory", "--job", job.dump(), "--steps", "1"]
    command += ["--execution", workflow_jobs.execution(flow).dump(), "--memory", str(tmp_path / "memory.json")]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES)),
    )
    assert done.returncode == 0, done.stderr

    document = json.loads((tmp_path / "memory.json").read_text())
    fits, fails = document["steps"]
    assert fits["batch"] == 2 and fits["seconds"] > 0 and 2e8 < fits["peak_bytes"] < 8e9
    assert fails["batch"] == TOO_MUCH and fails["failure"] == "out of memory", "and larger ones are not tried"
    assert "batch 2: " in done.stdout and "out of memory" in done.stdout

    def train(flow: Workflow):
        stages = Plan(flow, tmp_path, tmp_path, DEVICES["h100"]).stages()
        return next(stage for stage in stages if stage.stage == "train")

    found = train(flow)
    assert found.speed.origin == found.gpu.origin == "measured" and found.gpu.bytes == fits["peak_bytes"]
    assert found.speed.clips_per_hour == 3600 * 2 / fits["seconds"]
    assert "CPU" in found.gpu.basis
    other = flow.config.model_copy(update={"training": flow.config.training.model_copy(update={"batch_size": 4})})
    assert train(Workflow(other)).gpu.origin == "counted", "of another batch nothing was measured"
