"""Tests go to the processes of pytest-xdist so that what is shared is made once, and single files start at once."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from workers import MOST_WORKERS, TOGETHER, group, longest_first, number_of_workers

HERE = Path(__file__).parent


def config(*arguments: str, marks: str = "not faults") -> SimpleNamespace:
    return SimpleNamespace(args=[str(HERE / each) for each in arguments], option=SimpleNamespace(markexpr=marks))


def test_groups_are_of_files_that_exist():
    for beginnings in TOGETHER.values():
        assert all((HERE.parent / beginning).exists() for beginning in beginnings)


def test_runs_of_everything_share_a_process_and_others_go_by_file():
    of_slurm = group("tests/slurm/test_on_slurm.py::test_a_cancelled_job_stays_cancelled")
    assert of_slurm == group("tests/workflow/test_whole_workflow.py::test_dry_run_of_everything")
    assert (
        of_slurm != group("tests/workflow/test_rules.py::test_one") == group("tests/workflow/test_quoting.py::test_two")
    )
    assert group("tests/test_seeds.py::test_one[a::b]") == "tests/test_seeds.py"


def test_what_takes_longest_comes_first_and_the_order_stays_otherwise():
    names = ["b.py::1", "tests/workflow/test_rules.py::1", "a.py::1", "tests/slurm/test_on_slurm.py::1", "b.py::2"]
    items = [SimpleNamespace(nodeid=name) for name in names]
    longest_first(items)
    assert [item.nodeid for item in items] == [names[3], names[1], names[0], names[2], names[4]]


@pytest.mark.parametrize("cores, workers", [(1, 0), (2, 2), (64, MOST_WORKERS)])
def test_folders_take_the_cores_and_files_do_not(monkeypatch, cores, workers):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)))
    assert number_of_workers(config(".")) == number_of_workers(config("tables")) == workers
    assert number_of_workers(config("test_seeds.py", "tables/test_tables.py::test_one")) == 0
    assert number_of_workers(config(".", marks="faults")) == 0
