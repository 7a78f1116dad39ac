"""A run of every rule that nothing disturbs: its files, and of each job what it reads, writes and is started with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml
from comparing import differences
from snakemake.utils import update_config

from udpdiff import prefetching, preflight, workflow_jobs
from udpdiff.checkpoints import places

ROOT = Path(__file__).parents[2]
CONFIG = Path(__file__).with_name("campaign.yaml")
# What bash itself makes of a rule's command, with nothing started: the words of `python`, a line each.
_RECORD = r"""tee() { :; }; python() { for word in "$@"; do printf '%s\0' "$word"; done >> "$WORDS"; }; """


@dataclass(frozen=True)
class Job:
    """One job of the workflow.

    Attributes:
        rule: Its rule.
        inputs: Files and folders, relative to the work folder.
        outputs: Likewise.
        log: Its log.
        module: The script.
        arguments: Of the script.
        seconds: How long the script ran when nothing disturbed it.
    """

    rule: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    log: str
    module: str
    arguments: tuple[str, ...]
    seconds: float

    @property
    def name(self) -> str:
        return self.outputs[0].removeprefix("results/")

    @property
    def leftovers(self) -> tuple[str, ...]:
        """What else it keeps for its next start: the checkpoints of a training."""
        option = self.arguments.index("--state") if "--state" in self.arguments else None
        return () if option is None else (self.arguments[option + 1],)


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
    """

    def __init__(self, folder: Path, config: Path = CONFIG, targets: tuple[str, ...] = ()) -> None:
        self.folder, self.config, told = folder.resolve(), config, folder / "snakemake.log"
        if not told.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            process = snakemake(self.folder, "--cores", "2", "--printshellcmds", "--", *targets, config=config)
            log = process.communicate()[0]
            assert process.returncode == 0, log[-6000:]
            told.write_text(log)
        raw = yaml.safe_load((ROOT / "config.yaml").read_text())
        update_config(raw, yaml.safe_load(config.read_text()))
        flow = preflight.check(raw, [config])
        self.environment = {
            "EXECUTION": workflow_jobs.execution(flow).dump(),
            places.VARIABLE: places.tell(flow.places, self.folder / prefetching.FOLDER),
            "SOURCE_PATH": flow.config.source.path or "",
            "SOURCE_CAPTIONS": flow.config.source.captions or "",
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": str(ROOT),
        }
        self.jobs = list(_jobs_of(told.read_text(), self.folder, self.environment))

    def of_rule(self, rule: str) -> list[Job]:
        return [job for job in self.jobs if job.rule == rule]

    def rules(self) -> list[str]:
        """Their names; those that take seconds by the clock, and nothing else, are measured only once."""
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


def _jobs_of(log: str, folder: Path, environment: dict[str, str]) -> Iterator[Job]:
    """The jobs in a log of `snakemake --printshellcmds`."""
    shown = re.compile(r"^(?:local)?rule (\w+):\n((?:    [^\n]*\n)+)Shell command: (.*?)(?=^\S)", re.M | re.S)
    for rule, fields, command in shown.findall(log):
        if rule == "all":
            continue
        lines = dict(re.findall(r"^    (\w+): (.*)$", fields, re.M))
        log_file, outputs = lines["log"], tuple(lines["output"].split(", "))
        module, *arguments = _words(command, folder, environment)
        benchmark = folder / lines.get("benchmark", "none")
        seconds = float(benchmark.read_text().splitlines()[1].split("\t")[0]) if benchmark.is_file() else 5.0
        inputs = tuple(path for path in lines.get("input", "").split(", ") if path)
        yield Job(rule, inputs, outputs, log_file, module, tuple(arguments), seconds)


def _words(command: str, folder: Path, environment: dict[str, str]) -> list[str]:
    """The script's module and arguments, as bash makes them of a rule's command."""
    words = folder / "words"
    words.unlink(missing_ok=True)
    variables = os.environ | environment | {"WORDS": str(words)}
    subprocess.run(["bash", "-c", _RECORD + command], cwd=folder, env=variables, check=True, capture_output=True)
    started = words.read_text().split("\0")[:-1]
    return started[started.index("--") + 1 :] if "scripts.launch" in started else started[1:]
