"""Numbers as pages print them: a dash for what was not measured, a true minus, as many digits as a size can carry."""

from __future__ import annotations


def number(value: float | None, digits: int = 3) -> str:
    """A figure for people: a dash when it was not measured."""
    if value is None or value != value:
        return "–"
    return (f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:,.0f}").replace("-", "−")


def signed(value: float, digits: int) -> str:
    """A difference, with its sign and a true minus; without a sign where its digits are all 0."""
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "−") if round(value, digits) else f"{0:.{digits}f}"


def figure(value: float | None) -> str:
    """A figure of a table: as many digits as its size can carry."""
    return number(
        value, 2 if value is not None and abs(value) >= 10 else 4 if value is not None and abs(value) < 0.1 else 3
    )


def difference(value: float) -> str:
    """A difference of figures of a table, with its sign."""
    return ("+" if value > 0 else "") + figure(value)


def duration(seconds: float) -> str:
    """A time as people say it: seconds up to a minute and a half, then minutes, then hours."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


FILTERS = {"difference": difference, "duration": duration, "number": number, "signed": signed, "figure": figure}
