"""Progress outside a terminal: plain lines now and then, one at the end, none when it is not shown."""

from __future__ import annotations

import pytest

from udpdiff import progress as module
from udpdiff.progress import progress


def test_items_pass_through_and_the_last_line_counts_them(capsys):
    assert list(progress(range(5), "clips")) == [0, 1, 2, 3, 4]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("clips: 5/5 in 00:00")


def test_lines_come_after_a_while_with_the_rate_and_figures(capsys, monkeypatch):
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))
    with progress(description="steps", total=12, initial=2, unit="step") as bar:
        for step in range(10):
            bar.update(1)
            bar.set_postfix(loss=step / 4)
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) < 10, "not a line for every step"
    assert all(line.startswith("steps: ") and "step/s" in line and "\r" not in line for line in lines)
    assert "12/12" in lines[-1] and "loss=2.25" in lines[-1]


@pytest.mark.parametrize("items", [[], iter([1, 2])])
def test_no_length_and_no_items_are_fine(capsys, items):
    list(progress(items, "clips"))
    assert capsys.readouterr().err.startswith("clips: ")


def test_nothing_is_printed_when_it_is_not_shown(capsys):
    with progress(total=1, shown=False) as bar:
        bar.update(1)
        bar.set_postfix(loss=1.0)
    assert list(progress([1], "clips", shown=False)) == [1]
    assert capsys.readouterr().err == ""
