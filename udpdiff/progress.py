"""Progress of whatever takes time: a bar on a terminal, a plain line now and then elsewhere, as in a job's log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 15.0
_LINE = "{desc}: {n_fmt}/{total_fmt} in {elapsed}, {remaining} left, {rate_fmt}{postfix}"


def progress(
    items: Iterable | None = None,
    description: str = "",
    total: int | None = None,
    initial: int = 0,
    unit: str = "it",
    shown: bool = True,
) -> tqdm:
    """Return a tqdm on stderr, over `items` or driven by `.update(n)`; `.set_postfix(loss=...)` adds figures.

    Args:
        items: What to go through; None for a bar that is updated by hand, as a context manager.
        description: What is counted.
        total: Number of items, where `items` has no length.
        initial: How many were done before, which the rate leaves out.
        unit: Of the rate.
        shown: False prints nothing.
    """
    kind = tqdm if sys.stderr.isatty() else _Lines
    return kind(items, desc=description, total=total, initial=initial, unit=unit, disable=not shown, file=sys.stderr)


class _Lines(tqdm):
    """Plain lines every so many seconds, and a last one, in the place of a bar that is drawn over itself."""

    _last_line: float | None = None

    def __init__(self, *args, **options) -> None:
        super().__init__(*args, **options, bar_format=_LINE, miniters=1, maxinterval=float("inf"))

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        now = time.monotonic()
        if self.total is not None and self.n >= self.total:
            return  # the last line, which the end prints
        if self._last_line is None:
            self._last_line = now
        elif now - self._last_line >= SECONDS_BETWEEN_LINES:
            self._last_line = now
            print(self, file=self.fp, flush=True)

    def close(self) -> None:
        if not self.disable:
            self.disable = True
            self._decr_instances(self)
            print(self, file=self.fp, flush=True)
