"""Where no outcome of so few pairs could be significant, no verdict is given; the default run has enough for one."""

from __future__ import annotations

import numpy as np
import pytest
from hand_made_measurements import figure, write

from udpdiff.command.configuration import layered
from udpdiff.metrics.registry import RUNTIME_PARTS
from udpdiff.metrics.significance import LEVEL, at_best, least_p
from udpdiff.tables.comparisons import compare_table
from udpdiff.tables.fill import fill_table
from udpdiff.tables.measured import read_measurements
from udpdiff.tables.specs import table_spec


def timed(folder, rounds):
    """Comparisons and rows of table 4, where every round of each row is slower than the same round of the row above."""
    names = [f"runtime_{part}" for part in ("seconds", *(f"{part}_seconds" for part in RUNTIME_PARTS))]
    for position, row in enumerate(table_spec(4).rows):
        seconds = np.random.default_rng(position).normal(10 + position, 0.1, rounds)
        write(folder, row.run, row.task, dict.fromkeys(names, figure(seconds)), [f"round {n}" for n in range(rounds)])
    measured = read_measurements(sorted(folder.rglob("*.json")))
    comparisons = compare_table(4, measured, bootstrap_samples=50)
    return comparisons, fill_table(4, measured, comparisons)


@pytest.mark.parametrize(("rounds", "told"), [(5, "0.75"), (8, "0.0938")])
def test_too_few_rounds_have_neither_verdict_nor_p(tmp_path, rounds, told):
    comparisons, table = timed(tmp_path, rounds)
    assert len(comparisons) == 12 and all(line["low"] > 0 for line in comparisons), "clear by their intervals"
    assert {line["verdict"] for line in comparisons} == {"too few to tell"}
    assert {line["p_corrected"] for line in comparisons} == {None}
    reason = f"With {rounds} pairs no p below {told} is possible after the correction."
    assert {line["reason"] for line in comparisons} == {reason}
    assert (
        list(table["runtime_seconds_verdict"][1:]) == ["too few to tell"] * 2
        and table["runtime_seconds_p"].isna().all()
    )


def test_the_default_run_times_enough_rounds(tmp_path):
    rounds = layered(None, [])["metrics"]["runtime_repeats"]
    assert {line["verdict"] for line in timed(tmp_path, rounds)[0]} == {"worse"}
    assert at_best([least_p(9)] * 12)[0] < LEVEL <= at_best([least_p(8)] * 12)[0], "config.yaml says 9"


def test_few_pairs_beside_many_can_still_be_told():
    """A smaller p before them takes the larger factor, so six pairs alone among the others need no more than 0.05."""
    assert at_best([least_p(6), least_p(12), least_p(12)]) == pytest.approx([2 / 64, 6 / 4096, 6 / 4096])
    assert at_best([least_p(6), least_p(6)])[0] == 4 / 64 > LEVEL
