"""Runs are told apart by their initialisation where they differ in it, and by their name alone where they do not."""

from __future__ import annotations

import pytest
from small_results import RUNS, small_job

from udpdiff.report.inputs import Inputs

COPIED = {"tasks": {"depth": 1.0}, "init_in": "copy"}


@pytest.mark.parametrize(
    ("runs", "labels"),
    [
        (RUNS, {"base": "base", "multi": "multi"}),
        (
            RUNS | {"copied": COPIED},
            {
                "base": "base",
                "multi": "multi (orthogonal in, orthogonal out)",
                "copied": "copied (copy in, orthogonal out)",
            },
        ),
        ({"multi": RUNS["multi"], "copied": COPIED, "alike": COPIED}, {"alike": "alike (copy in, orthogonal out)"}),
    ],
)
def test_initialisations_stand_beside_names_where_they_differ(tmp_path, runs, labels):
    job = small_job(runs=runs, model={"init_in": "orthogonal", "init_out": "orthogonal"})
    inputs = Inputs(job, tmp_path, [], [])
    assert {run: inputs.run_label(run) for run in labels} == labels
