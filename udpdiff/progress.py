"""A progress line with an ETA: a bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized

_SECONDS_BETWEEN_LINES = 15.0


def progress(items: Iterable, what: str, total: int | None = None) -> Iterator:
    """Yields the items; reports how many of how many are done, the rate and the seconds left on stderr."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    if sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, desc=what, total=total)
        return
    start = last = time.monotonic()
    done = 0
    for done, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - last >= _SECONDS_BETWEEN_LINES and done != total:
            rate = done / (now - start)
            left = f", {(total - done) / rate:.0f} s left" if total else ""
            print(f"{what}: {done}/{total or '?'} ({rate:.2f} a second{left})", file=sys.stderr, flush=True)
            last = now
    print(f"{what}: {done} done in {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
