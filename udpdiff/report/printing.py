"""Numbers as pages print them: a dash for what was not measured, a true minus, as many digits as a size can carry."""

from __future__ import annotations

from datetime import datetime

from markupsafe import Markup, escape

from udpdiff.counted import counted


def number(value: float | None, digits: int = 3) -> str:
    """A figure for people: a dash when it was not measured."""
    if value is None or value != value:
        return "–"
    return (f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:,.0f}").replace("-", "−")


def signed(value: float, digits: int) -> str:
    """A difference, with its sign and a true minus; without a sign where its digits are all 0."""
    return f"{round(value, digits) + 0.0:+.{digits}f}".replace("-", "−") if round(value, digits) else f"{0:.{digits}f}"


def figure(value: float | None) -> str:
    """A figure of a table: as many digits as its size can carry, none for nothing at all."""
    if value == 0:
        return "0"
    size = 1.0 if value is None else abs(value)
    return number(value, 2 if size >= 10 else 4 if size < 0.1 else 3)


def difference(value: float) -> str:
    """A difference of figures of a table, with its sign."""
    return ("+" if value > 0 else "") + figure(value)


def duration(seconds: float) -> str:
    """A time as people say it: seconds up to a minute and a half, then minutes, then hours."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def moment(started: str) -> str:
    """A date and time of ISO 8601 to the minute, with UTC or its distance to it where that is said."""
    when = datetime.fromisoformat(started)
    zone = f" {when.tzname()}" if when.tzinfo else ""
    return f"{when:%Y-%m-%d %H:%M}{zone}"


def code(text: str) -> Markup:
    """Text as HTML, what stands between backticks as code; of an odd number of backticks, none is a mark."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(Markup("<code>{}</code>" if at % 2 else "{}").format(part) for at, part in enumerate(parts))


FILTERS = {
    "code": code,
    "counted": counted,
    "difference": difference,
    "duration": duration,
    "moment": moment,
    "number": number,
    "signed": signed,
    "figure": figure,
}
