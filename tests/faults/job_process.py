"""One job of the workflow by itself, in a process that has the libraries loaded already, maybe on a disk that is full."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from unittest import mock

from as_main import run_as_main

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 300


@dataclass(frozen=True)
class Job:
    """One job of the workflow.

    Attributes:
        rule: Its rule.
        inputs: Files and folders, relative to the work folder.
        outputs: Likewise.
        module: The script.
        arguments: Of the script.
        seconds: How long the script ran when nothing disturbed it.
    """

    rule: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
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


@dataclass(frozen=True)
class FullDisk:
    """Files of a process can only grow to some size, as on a disk that is full: writes beyond it fail.

    Attributes:
        limit: Bytes.
        transient: Room is made as soon as the first write has failed.
    """

    limit: int
    transient: bool

    def begin(self) -> None:
        """Start to fail writes of this process. (Python ignores the signal that would end it.)"""
        most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        if self.transient:
            signal.signal(signal.SIGXFSZ, lambda *_: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.limit, most))


@dataclass(frozen=True)
class Ended:
    """How a job ended: its exit code, and all that it said."""

    code: int
    told: str

    @property
    def one_message(self) -> bool:
        """Whether it stopped with words and not with a traceback."""
        return self.code != 0 and "\nTraceback (most" not in f"\n{self.told}" and bool(self.told.strip())


class JobProcesses:
    """Starts jobs by forking a process that has imported every script.

    Args:
        environment: Variables that the workflow gives its jobs.
        scripts: To import before; all.
    """

    def __init__(self, environment: dict[str, str], scripts: Sequence[str] | None = None) -> None:
        if scripts is None:
            scripts = [f"scripts.{path.stem}" for path in (ROOT / "scripts").glob("*.py") if path.stem != "__init__"]
        self._environment = environment
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([*scripts, "job_process"])
        # Libraries read these when they are imported, which the server does; later tests of this process must not see them.
        with mock.patch.dict(os.environ, {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}):
            forkserver.ensure_running()

    def run(self, job: Job, folder: Path, fault: FullDisk | None = None) -> Ended:
        """Run a job in a work folder to its end."""
        process, told = self._start(job, folder, fault)
        process.join(PATIENCE_SECONDS)
        code = process.exitcode
        process.kill()
        told.join()
        words = told.text() if code is not None else f"no end after {PATIENCE_SECONDS} s\n{told.text()}"
        return Ended(-1 if code is None else code, words)

    def run_until(self, job: Job, folder: Path, reached: Callable[[], bool]) -> None:
        """Run a job until something is reached, and kill it there."""
        process, told = self._start(job, folder, None)
        until = time.monotonic() + PATIENCE_SECONDS
        while not reached() and process.is_alive() and time.monotonic() < until:
            time.sleep(0.01)
        process.kill()
        told.join()
        assert reached(), f"{job.name} never came so far: {told.text()}"

    def _start(self, job: Job, folder: Path, fault: FullDisk | None) -> tuple[multiprocessing.Process, _Told]:
        reader, writer = self._context.Pipe(duplex=False)
        arguments = (job.module, job.arguments, folder, self._environment, writer, fault)
        process = self._context.Process(target=_run, args=arguments)
        process.start()
        writer.close()
        return process, _Told(reader)


class _Told(threading.Thread):
    """Both streams of a process, through a pipe: it takes words on a full disk too."""

    def __init__(self, reader: Connection) -> None:
        super().__init__(daemon=True)
        self._reader, self._words = reader, bytearray()
        self.start()

    def run(self) -> None:
        while words := os.read(self._reader.fileno(), 65536):
            self._words += words
        self._reader.close()

    def text(self) -> str:
        return self._words.decode(errors="replace")


def _run(
    module: str,
    arguments: tuple[str, ...],
    folder: Path,
    environment: dict[str, str],
    told: Connection,
    fault: FullDisk | None,
) -> None:
    os.environ |= environment
    os.chdir(folder)
    os.dup2(told.fileno(), 1)
    os.dup2(told.fileno(), 2)
    told.close()
    if fault:
        fault.begin()
    run_as_main(module, arguments)
