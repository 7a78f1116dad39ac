"""A run of every rule that nothing disturbs: its files, and of each job what it reads, writes and is started with.

Snakemake plans it; its jobs are started here, without a new interpreter for each, which makes minutes of a quarter of an hour.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import yaml
from comparing import differences
from job_process import ROOT, Job, JobProcesses
from snakemake.utils import update_config

from udpdiff import preflight
from udpdiff.checkpoints import places
from udpdiff.workflow import jobs as workflow_jobs
from udpdiff.workflow import prefetching

CONFIG = Path(__file__).with_name("campaign.yaml")
# What bash itself makes of a rule's command, with nothing started: the words of `python`, a line each.
_RECORD = r"""tee() { :; }; python() { for word in "$@"; do printf '%s\0' "$word"; done >> "$WORDS"; }; """


def snakemake(folder: Path, *arguments: str, config: Path = CONFIG, **options) -> subprocess.Popen:
    """Start the workflow in a folder, both streams in one pipe."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [sys.executable, "-m", "snakemake", "--directory", str(folder), "--configfile", str(config), *arguments]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, start_new_session=True, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, **options,
    )  # fmt: skip


class FinishedRun:
    """What was made at the smallest scale, in a folder of its own.

    Args:
        folder: Where; taken as it is when it holds a finished run.
        config: File of the configuration.
        targets: Files to make; none: everything.

    Attributes:
        folder: The work folder.
        config: File of the configuration.
        jobs: Every job, in the order in which they ran.
        environment: Variables that the workflow gives its jobs.
        processes: That start single jobs.
    """

    def __init__(self, folder: Path, config: Path = CONFIG, targets: tuple[str, ...] = ()) -> None:
        self.folder, self.config = folder.resolve(), config
        self.folder.mkdir(parents=True, exist_ok=True)
        raw = yaml.safe_load((ROOT / "config.yaml").read_text())
        update_config(raw, yaml.safe_load(config.read_text()))
        with contextlib.chdir(self.folder):  # where plug-ins are looked for
            flow = preflight.check(raw, [config.resolve()])
        self.environment = {
            "EXECUTION": workflow_jobs.execution(flow).dump(),
            places.VARIABLE: places.tell(flow.places, self.folder / prefetching.FOLDER),
            "SOURCE_PATH": flow.config.source.path or "",
            "SOURCE_CAPTIONS": flow.config.source.captions or "",
            "HF_HUB_OFFLINE": "1",
            "HUB_OFFLINE_ASKED": "1",
            "PYTHONPATH": str(ROOT),
        }
        self.processes = JobProcesses(self.environment)
        self.jobs = self._made(_jobs_of(self.folder, config, targets, self.environment))

    def _made(self, jobs: list[Job]) -> list[Job]:
        """Run jobs, each after those whose files it reads. Returns them in this order, with their seconds."""
        told, done, waiting = self.folder / "seconds.json", [], list(jobs)
        seconds = json.loads(told.read_text()) if told.exists() else {}
        while waiting:
            job = next(job for job in waiting if all((self.folder / path).exists() for path in job.inputs))
            if job.name not in seconds:
                started = time.monotonic()
                ended = self.processes.run(job, self.folder)
                assert ended.code == 0, f"{job.name}: {ended.told[-3000:]}"
                seconds[job.name] = round(time.monotonic() - started, 2)
                told.write_text(json.dumps(seconds))
            done.append(replace(job, seconds=seconds[job.name]))
            waiting.remove(job)
        return done

    def of_rule(self, rule: str) -> list[Job]:
        return [job for job in self.jobs if job.rule == rule]

    def rules(self) -> list[str]:
        return sorted({job.rule for job in self.jobs})

    def differences(self, path: str, folder: Path) -> list[str]:
        """Return what of a file or folder in a copy is not as it is here."""
        return differences(self.folder / path, folder / path)

    def readers(self, path: str) -> list[Job]:
        """Jobs that read a file, itself or the folder that holds it, the quickest first."""
        found = [job for job in self.jobs if any(path == each or path.startswith(each + "/") for each in job.inputs)]
        return sorted(found, key=lambda job: job.seconds)

    def copy(self, folder: Path) -> Path:
        """Return a copy of the work folder, as `rsync -a` moves it."""
        subprocess.run(["cp", "-a", str(self.folder), str(folder)], check=True)
        return folder

    def restore(self, folder: Path, *paths: str) -> None:
        """Bring files or folders of a copy back to what they were."""
        for path in paths:
            remove(folder / path)
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", str(self.folder / path), str(folder / path)], check=True)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there, and what a stopped job left beside it."""
    for each in [path, *path.parent.glob(f".{path.name}.*")]:
        if each.is_dir() and not each.is_symlink():
            shutil.rmtree(each)
        else:
            each.unlink(missing_ok=True)


def _jobs_of(folder: Path, config: Path, targets: tuple[str, ...], environment: dict[str, str]) -> list[Job]:
    """The jobs that Snakemake plans for a folder with nothing in it but the user's plug-ins."""
    with tempfile.TemporaryDirectory() as empty:
        for plugin in folder.glob("*.py"):
            shutil.copy(plugin, empty)
        command = [sys.executable, str(ROOT / "tests/workflow/dag_as_json.py"), str(config), empty, *targets]
        planned = subprocess.run(command, capture_output=True, text=True, check=True)
    jobs = []
    for job in json.loads(planned.stdout):
        if job["command"]:
            module, *arguments = _words(job["command"], folder, environment)
            inputs, outputs = (_flat(job[name]) for name in ("input", "output"))
            jobs.append(Job(job["rule"], inputs, outputs, module, tuple(arguments), 0.0))
    return jobs


def _flat(files: dict[str, list[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for paths in files.values() for path in paths))


def _words(command: str, folder: Path, environment: dict[str, str]) -> list[str]:
    """The script's module and arguments, as bash makes them of a rule's command."""
    words = folder / "words"
    words.unlink(missing_ok=True)
    variables = os.environ | environment | {"WORDS": str(words)}
    subprocess.run(["bash", "-c", _RECORD + command], cwd=folder, env=variables, check=True, capture_output=True)
    started = words.read_text().split("\0")[:-1]
    words.unlink()
    return started[started.index("--") + 1 :] if "scripts.launch" in started else started[1:]
