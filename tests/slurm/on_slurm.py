"""Snakemake as a user of a cluster starts it: the project's profile, copied and edited for a machine of two cores."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from cluster import Cluster

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("smallest.yaml")
PATIENCE_SECONDS = 600


def edited_profile(folder: Path, slurm_extra: str = "", **train: Any) -> Path:
    """The profile with everything small, and the resources of `train` as they are given."""
    profile = yaml.safe_load((ROOT / "slurm" / "config.yaml").read_text())
    small = {"mem_mb": 1000, "runtime": 30, "cpus_per_task": 1}
    profile |= {"config": ["preset=rehearsal"], "jobs": 4, "latency-wait": 20, "retries": 0}
    profile |= {"slurm-init-seconds-before-status-checks": 2}
    profile["default-resources"] |= small
    for resources in profile["set-resources"].values():
        resources |= small
        if "--exclusive" in resources.get("slurm_extra", ""):
            del resources["slurm_extra"]
    asked = profile["set-resources"]["train"]
    asked |= {"gpu": 1, "tasks": 2} | train
    # The warning comes within the last half minute, for a whole job here has two.
    extra = asked["slurm_extra"].strip("'").replace("TERM@300", "TERM@30")
    asked["slurm_extra"] = f"'{extra} {slurm_extra}'"
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump(profile))
    return folder


class Snakemake:
    """One `snakemake --profile` on its way, in a folder of its own.

    Args:
        folder: The work folder.
        profile: The profile's folder.
        targets: Files to make.
        variables: Further environment variables.
    """

    def __init__(self, folder: Path, profile: Path, *targets: str, **variables: str) -> None:
        folder.mkdir(exist_ok=True)
        self.folder, self.log = folder, folder / "snakemake.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        command = [sys.executable, "-m", "snakemake", "--profile", str(profile), "--directory", str(folder)]
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen(
                [*command, "--configfile", str(CONFIG), "--", *targets],
                cwd=ROOT, env=environment | variables, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def job_id(self, cluster: Cluster) -> str:
        """The number that SLURM gave the only job of this Snakemake, once it has one."""
        name = wait_for(lambda: _after(self.log.read_text(), "SLURM run ID: "), "the run's name")
        return wait_for(lambda: cluster.call("squeue", "-h", f"--name={name}", "-o", "%i").strip(), "a job")

    def finish(self, seconds: float = PATIENCE_SECONDS) -> str:
        """Wait for the end. Returns all that Snakemake said."""
        try:
            code = self._process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            code = "no end"
        assert code == 0, f"{code}\n{self.told()}"
        return self.log.read_text()

    def told(self) -> str:
        """Return the ends of all logs, for a failing test."""
        logs = [self.log, *(self.folder / "logs").rglob("*.log")]
        newest = sorted(logs, key=lambda path: path.stat().st_mtime)[-6:]
        return "\n".join(f"== {path}\n{path.read_text(errors='replace')[-2500:]}" for path in newest)

    def stop(self) -> None:
        """End it, whatever it is doing; its jobs end with their SLURM."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def wait_for(found: Callable[[], Any], what: str, seconds: float = PATIENCE_SECONDS) -> Any:
    """Return the first answer that is not empty."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if answer := found():
                return answer
        except OSError:
            pass
        time.sleep(0.2)
    raise AssertionError(f"waited {seconds} s for {what}")


def steps_done(folder: Path) -> int:
    """How many steps the log of run `base` tells of."""
    lines = (folder / "results/training/base/train.jsonl").read_text().splitlines()
    return max((json.loads(line)["step"] for line in lines if line.endswith("}")), default=0)


def _after(text: str, words: str) -> str:
    return text.split(words, 1)[1].split()[0] if words in text else ""
