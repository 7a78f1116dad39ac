"""The campaign of deliberate faults: the undisturbed run that it compares with, and its table at the end.

Environment variables: FAULT_TRIES of each kind (1), FAULT_SEED of all that is drawn (0), FAULT_RUN, the folder of an
undisturbed run, which is made there if it is missing (a temporary one).
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from finished_run import FinishedRun
from job_process import JobProcesses
from tally import Tally

TALLY = pytest.StashKey[Tally]()


def pytest_configure(config):
    config.stash[TALLY] = Tally()


@pytest.fixture(scope="session")
def tries() -> int:
    return int(os.environ.get("FAULT_TRIES", 1))


@pytest.fixture
def rng(request) -> random.Random:
    """Of one test: what it draws does not depend on which others run."""
    return random.Random(f"{os.environ.get('FAULT_SEED', 0)} {request.node.name}")


@pytest.fixture(scope="session")
def tally(request) -> Tally:
    return request.config.stash[TALLY]


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> FinishedRun:
    """A run of every rule that nothing disturbed."""
    return FinishedRun(Path(os.environ.get("FAULT_RUN") or tmp_path_factory.mktemp("undisturbed")))


@pytest.fixture(scope="session")
def processes(finished) -> JobProcesses:
    return finished.processes


def pytest_terminal_summary(terminalreporter, config):
    tally = config.stash[TALLY]
    if tally.counts:
        table = tally.table()
        terminalreporter.section("deliberate faults")
        terminalreporter.write_line(table)
        path = config._tmp_path_factory.getbasetemp() / "faults.txt"
        path.write_text("\n".join([table, *tally.faults, ""]))
        terminalreporter.write_line(f"This table and what went wrong: {path}")
