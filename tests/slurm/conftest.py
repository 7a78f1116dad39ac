"""A SLURM for the tests of this folder, or the reason why there is none."""

from __future__ import annotations

import pytest
from cluster import Cluster, why_not

STARTED = pytest.StashKey[Cluster]()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory, request):
    """SLURM with two nodes; skips where none can be started."""
    if reason := why_not():
        pytest.skip(reason)
    with Cluster(tmp_path_factory.mktemp("slurm")) as started:
        request.config.stash[STARTED] = started
        yield started


def pytest_terminal_summary(terminalreporter, config):
    started = config.stash.get(STARTED, None)
    if started:
        terminalreporter.write_line(f"SLURM ran with {started.process_tracking} process tracking")
