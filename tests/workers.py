"""Which tests share a process of pytest-xdist, and how many processes there are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

MOST_WORKERS = 4  # each holds torch, some models and their videos: 1 to 2 GB
# Files whose tests go to one worker, one after the other, and in this order before all others, for they take longest:
# runs of everything, which take all cores and of which SLURM's has the machine's configuration of SLURM to itself; and
# those that look at the same graphs of the workflow, or at one site in one browser.
TOGETHER = {
    "whole runs": ("tests/slurm/", "tests/workflow/test_whole_workflow.py"),
    "graphs": ("tests/workflow/",),
    "browser": ("tests/browser/",),
}


def group(nodeid: str) -> str:
    """Return the group of a test: a name of `TOGETHER`, otherwise its file."""
    file = nodeid.split("::")[0]
    return next((name for name, beginnings in TOGETHER.items() if file.startswith(beginnings)), file)


def number_of_workers(config: pytest.Config) -> int:
    """Return a worker for each core where whole folders are asked for; none for single files, which start sooner so,
    and for the campaign of deliberate faults, which makes its table in one process."""
    cores = len(os.sched_getaffinity(0))
    folders = [argument for argument in config.args if Path(argument.split("::")[0]).is_dir()]
    if cores == 1 or not folders or config.option.markexpr == "faults":
        return 0
    return min(cores, MOST_WORKERS)


def longest_first(items: list[pytest.Item]) -> None:
    """Put the tests of `TOGETHER` before the others, in place."""
    order = list(TOGETHER)
    items.sort(key=lambda item: order.index(name) if (name := group(item.nodeid)) in order else len(order))


class ByGroup(LoadScopeScheduling):
    """Gives the groups to the workers in the order of the tests."""

    def __init__(self, config: pytest.Config, log=None) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        # Seam of pytest-xdist 3.8: the name of the unit that a test is handed out in.
        return group(nodeid)
