"""A SLURM for the tests of this folder, or the reason why there is none."""

from __future__ import annotations

import pytest
from cluster import Cluster, why_not


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    """SLURM with two nodes; skips where none can be started."""
    if reason := why_not():
        pytest.skip(reason)
    with Cluster(tmp_path_factory.mktemp("slurm")) as started:
        yield started
