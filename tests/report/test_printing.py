"""Numbers and moments as pages print them."""

from __future__ import annotations

from udpdiff.report.printing import code, counted, figure, moment, signed


def test_a_figure_has_the_digits_that_its_size_can_carry():
    shown = [figure(value) for value in (None, float("nan"), 0.0, -0.0, 0.05, -0.5, 12.345, 1234.5)]
    assert shown == ["–", "–", "0", "0", "0.0500", "−0.500", "12.35", "1,234"]


def test_a_difference_of_nothing_has_no_sign():
    assert [signed(value, 2) for value in (-0.001, 0.0, 0.004, -0.006, 0.25)] == [
        "0.00",
        "0.00",
        "0.00",
        "−0.01",
        "+0.25",
    ]


def test_what_stands_between_backticks_is_code():
    assert code("in a column `<source>` of it") == "in a column <code>&lt;source&gt;</code> of it"
    assert code("a file called `<b>") == "a file called `&lt;b&gt;"


def test_one_thing_is_not_called_by_its_plural():
    assert [counted(count, "clip") for count in (0, 1, 2, 1200)] == ["0 clips", "1 clip", "2 clips", "1,200 clips"]


def test_a_moment_is_to_the_minute_and_says_where():
    assert moment("2026-11-26T20:02:03+00:00") == "2026-11-26 20:02 UTC"
    assert moment("2026-11-26T20:02:03.5+02:00") == "2026-11-26 20:02 UTC+02:00"
    assert moment("2026-01-01T00:00:00") == "2026-01-01 00:00"
