"""Turns, paired ratios and the file of results."""

from __future__ import annotations

import math

import pytest

from benchmarks.pairing import median, ratio, take_turns
from benchmarks.results import table, write_results


def test_contenders_take_turns_and_the_first_round_is_left_out():
    calls = []

    def contender(name):
        return lambda turn: calls.append((turn, name)) or {"total": 10.0 if turn == 0 else turn}

    timings = take_turns({name: contender(name) for name in "abc"}, repeats=2)
    assert calls == [(0, "a"), (0, "b"), (0, "c"), (1, "b"), (1, "c"), (1, "a"), (2, "c"), (2, "a"), (2, "b")]
    assert timings == {name: [{"total": 1}, {"total": 2}] for name in "abc"}


def test_a_ratio_is_taken_within_each_round():
    slow, fast = [{"vae": 2.0}, {"vae": 40.0}, {"vae": 6.0}], [{"vae": 1.0}, {"vae": 20.0}, {"vae": 2.0}]
    found = ratio(slow, fast, "vae")
    assert (found.median, found.low, found.high, found.n) == (2.0, 2.0, 3.0, 3)
    assert str(found) == "2 [2, 3]"


def test_one_value_has_no_interval():
    found = median([1.25])
    assert math.isnan(found.low) and str(found) == "1.25"


def test_results_name_command_hardware_and_versions(tmp_path, capsys):
    rows = [{"part": "denoising", "ratio": None}, {"part": "decoding", "ratio": 2}]
    assert table(rows).splitlines()[2:] == ["| denoising | — |", "| decoding | 2 |"]
    path = tmp_path / "b.md"
    write_results(path, "benchmarks.pipelines", "A title", [table(rows)], ["--shape", "mini", "--output", "a b"])
    text = path.read_text()
    assert text.startswith("# A title\n") and "python -m benchmarks.pipelines --shape mini --output 'a b'" in text
    assert "Hardware: " in text and "torch 2." in text and text in capsys.readouterr().out


@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0], [3.0, 1.0, 2.0, 9.0, 4.0]])
def test_the_interval_holds_the_median(values):
    found = median(values)
    assert found.low <= found.median <= found.high and found.n == len(values)
