"""Flipped bytes in every type of file that the workflow writes and reads again: named by who reads it, or without effect."""

from __future__ import annotations

import random
import re
import subprocess
from pathlib import Path

import pytest
from finished_run import FinishedRun, remove
from job_process import Ended, Job, JobProcesses

pytestmark = pytest.mark.faults

LOG = "train.jsonl"
UNREAD = {".md", ".svg"}  # of an exported run, for people


def test_flipped_bytes_are_told_or_without_effect(finished, processes, tally, rng, tries, tmp_path):
    folder = finished.copy(tmp_path / "work")
    for kind, paths in sorted(files_by_kind(finished).items()):
        for _ in range(2 * tries):
            path = rng.choice(paths)
            outcome, what = flip_and_read(finished, processes, folder, path, rng)
            tally.note(f"flipped bytes: {kind}", outcome, what)
    assert not tally.wrong("flipped bytes")


def test_a_training_goes_on_beside_a_damaged_checkpoint(finished, processes, tally, rng, tries, tmp_path):
    """Damage to what a training keeps for its next start: it goes back to what is whole."""
    folder = finished.copy(tmp_path / "work")
    job = rng.choice(finished.of_rule("train"))
    (state,) = job.leftovers
    stopped = tmp_path / "stopped"
    _stop_half_way(processes, job, folder, stopped)
    files = [str(path.relative_to(stopped)) for path in stopped.rglob("*") if path.is_file() and path.name != "lock"]
    kinds = sorted({kind_of(name) for name in files})
    for kind in kinds:
        for _ in range(2 * tries):
            name = rng.choice([name for name in files if kind_of(name) == kind])
            for path in (*job.outputs, state):
                remove(folder / path)
            (folder / state).parent.mkdir(exist_ok=True, parents=True)
            _copy(stopped, folder / state)
            where = flip(folder / state / name, rng)
            ended = processes.run(job, folder)
            outcome, what = judge(finished, job, folder, ended, name)
            tally.note(f"flipped bytes: training/{kind}", outcome, f"{state}/{name} {where}: {what}")
    assert not tally.wrong("flipped bytes: training")


def files_by_kind(finished: FinishedRun) -> dict[str, list[str]]:
    """Every file that some job writes and another reads, by what it is."""
    kinds: dict[str, list[str]] = {}
    for path in sorted((finished.folder / "benchmarks").rglob("*.*")):
        kinds.setdefault(f"benchmarks {path.suffix[1:]}", []).append(str(path.relative_to(finished.folder)))
    for job in finished.jobs:
        for output in job.outputs:
            whole = finished.folder / output
            for path in sorted(whole.rglob("*")) if whole.is_dir() else [whole]:
                name = str(path.relative_to(finished.folder))
                read = path.name[0] != "." and path.suffix not in UNREAD and finished.readers(name)
                if path.is_file() and read:
                    kinds.setdefault(kind_of(name.removeprefix("results/")), []).append(name)
    return kinds


def readers(finished: FinishedRun, path: str) -> list[Job]:
    """Jobs that read a file; the report also reads what it does not depend on."""
    return finished.readers(path) or finished.of_rule("render_report")


def kind_of(name: str) -> str:
    """The first folder of a path under results, and the ending: `latents h5`, `runs safetensors`, ..."""
    first = re.sub(r"[-.\d].*", "", name.split("/")[0])
    ending = name.split("/")[-1].split(".", 1)[1] if "." in name.split("/")[-1] else "file"
    return f"{first} {ending}"


def flip_and_read(
    finished: FinishedRun, processes: JobProcesses, folder: Path, path: str, rng: random.Random
) -> tuple[str, str]:
    """Damage one file of a copy, let the quickest job read it that makes something of it, and mend the copy."""
    job = rng.choice(list({job.rule: job for job in readers(finished, path)}.values()))
    where = flip(folder / path, rng)
    for output in job.outputs:
        remove(folder / output)
    for kept in job.leftovers:
        remove(folder / kept)
    ended = processes.run(job, folder)
    outcome, what = judge(finished, job, folder, ended, path)
    finished.restore(folder, path, *job.outputs, *job.leftovers)
    return outcome, f"{path} {where}, read by {job.rule} {job.name}: {what}"


def judge(finished: FinishedRun, job: Job, folder: Path, ended: Ended, path: str) -> tuple[str, str]:
    """Equal results survived; a message that names the file or its folder refused; all else is wrong."""
    if ended.code == 0:
        faults = [fault for output in job.outputs for fault in finished.differences(output, folder)]
        if (
            path == LOG
        ):  # which no digest covers until the run is exported: damaged lines are left out, and no weight depends on it
            faults = [fault for fault in faults if LOG not in fault]
        return ("wrong", f"exit 0 with other results: {faults}") if faults else ("survived", "")
    names = [path, *(each for each in job.inputs if path.startswith(f"{each}/"))]
    if ended.one_message and any(name in ended.told for name in names):
        return "refused", ""
    return "wrong", f"stopped without naming it: {ended.told[-1500:]}"


def flip(path: Path, rng: random.Random) -> str:
    """Change one to four neighbouring bytes. Returns where."""
    content = bytearray(path.read_bytes())
    start, length = rng.randrange(len(content)), rng.randint(1, 4)
    for position in range(start, min(start + length, len(content))):
        content[position] ^= rng.randint(1, 255)
    path.write_bytes(content)
    return f"bytes {start} to {start + length - 1} of {len(content)}"


def _stop_half_way(processes: JobProcesses, job: Job, folder: Path, stopped: Path) -> None:
    """Leave in `stopped` what a training keeps when it ends between two checkpoints."""
    (state,) = job.leftovers
    for path in (*job.outputs, state):
        remove(folder / path)
    processes.run_until(job, folder, lambda: len(list((folder / state).glob("checkpoint-*/state.json"))) >= 2)
    _copy(folder / state, stopped)


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)
