"""A progress bar with an ETA on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 15.0


def progress(
    items: Iterable | None = None,
    description: str = "",
    total: int | None = None,
    initial: int = 0,
    unit: str = "it",
    shown: bool = True,
) -> tqdm:
    """Return a bar over the items, or one to be updated by hand."""
    interval = 0.1 if sys.stderr.isatty() else _SECONDS_BETWEEN_LINES
    return tqdm(
        items, desc=description, total=total, initial=initial, unit=unit, disable=not shown, mininterval=interval
    )
