"""Disks that are full for good or for a moment, in every rule that writes: told, never a wrong result, mended by another start."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from finished_run import FinishedRun, remove
from job_process import Ended, FullDisk, Job, JobProcesses

pytestmark = pytest.mark.faults

ROOM = 64 * 2**20


@pytest.mark.parametrize("transient", [False, True], ids=["lasting", "transient"])
def test_files_that_cannot_grow(transient, finished, processes, tally, rng, tries, tmp_path):
    folder = finished.copy(tmp_path / "work")
    kind = f"full disk: file size limit, {'transient' if transient else 'lasting'}"
    for rule in finished.rules():
        for _ in range(tries):
            job = rng.choice(finished.of_rule(rule))
            size = rng.choice(_sizes(finished, job))
            fault = FullDisk(rng.randrange(size), transient)
            _clear(job, folder)
            ended = processes.run(job, folder, fault)
            outcome, what = _judge(finished, processes, job, folder, ended)
            tally.note(kind, outcome, f"{rule} {job.name}, files of at most {fault.limit} bytes: {what}")
    assert not tally.wrong(kind)


@pytest.mark.parametrize("transient", [False, True], ids=["lasting", "transient"])
def test_a_small_disk(transient, finished, processes, tally, rng, tries, tmp_path):
    kind = f"full disk: tmpfs, {'transient' if transient else 'lasting'}"
    with _tmpfs(tmp_path / "disk", finished) as disk:
        folder = finished.copy(disk / "work")
        for rule in finished.rules():
            for _ in range(tries):
                job = rng.choice(finished.of_rule(rule))
                _clear(job, folder)
                free = rng.randrange(sum(_sizes(finished, job)))
                with _filled(disk, free, transient):
                    ended = processes.run(job, folder)
                outcome, what = _judge(finished, processes, job, folder, ended)
                tally.note(kind, outcome, f"{rule} {job.name}, {free} bytes free: {what}")
    assert not tally.wrong(kind)


def _sizes(finished: FinishedRun, job: Job) -> list[int]:
    """Of the files that a job writes, in bytes."""
    found = []
    for path in (*job.outputs, *job.leftovers):
        whole = finished.folder / path
        found += [each.stat().st_size for each in (whole.rglob("*") if whole.is_dir() else [whole]) if each.is_file()]
    return [size for size in found if size]


def _clear(job: Job, folder: Path) -> None:
    for path in (*job.outputs, *job.leftovers):
        remove(folder / path)


def _judge(finished: FinishedRun, processes: JobProcesses, job: Job, folder: Path, ended: Ended) -> tuple[str, str]:
    """What a job left that had too little room, and what another start makes of that; the copy is mended."""
    try:
        if ended.code == 0:
            faults = [fault for path in job.outputs for fault in finished.differences(path, folder)]
            return ("wrong", f"exit 0 with other results: {faults}") if faults else ("survived", "")
        if not ended.one_message or "cannot be written" not in ended.told:
            return "wrong", f"stopped without naming the disk: {ended.told[-1500:]}"
        again = processes.run(job, folder)
        if again.code:
            return "wrong", f"did not go on: {again.told[-1500:]}"
        faults = [fault for path in job.outputs for fault in finished.differences(path, folder)]
        return ("wrong", f"other results after going on: {faults}") if faults else ("refused", "")
    finally:
        finished.restore(folder, *job.outputs, *job.leftovers)


@contextlib.contextmanager
def _tmpfs(place: Path, finished: FinishedRun) -> Iterator[Path]:
    """A disk in memory that holds the run and some more; skips where none may be mounted."""
    used = sum(path.stat().st_size for path in finished.folder.rglob("*") if path.is_file())
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={2 * used + ROOM}", "tmpfs", str(place)]
    mounted = subprocess.run(mount, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no tmpfs may be mounted here: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


@contextlib.contextmanager
def _filled(disk: Path, free: int, transient: bool) -> Iterator[None]:
    """Leave so many bytes of a disk; a transient lack ends as soon as nothing is left."""
    ballast, over = disk / "ballast", threading.Event()

    def watch() -> None:
        while not over.is_set():
            if _free(disk) == 0:
                ballast.unlink(missing_ok=True)
                return
            time.sleep(0.001)

    with open(ballast, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(_free(disk) - free, 1))
    watcher = threading.Thread(target=watch)
    if transient:
        watcher.start()
    try:
        yield
    finally:
        over.set()
        if transient:
            watcher.join()
        ballast.unlink(missing_ok=True)


def _free(disk: Path) -> int:
    state = os.statvfs(disk)
    return state.f_bavail * state.f_frsize
