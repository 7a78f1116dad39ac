"""Waiting for a page, by asking it again and again.

Playwright's own `wait_for_function` evaluates strings inside the page, which the report's content security policy forbids.
"""

from __future__ import annotations

import time


def wait_until(page, expression: str, seconds: float = 30) -> None:
    """Return when a JavaScript expression is true on a page; raises TimeoutError with it otherwise."""
    end = time.monotonic() + seconds
    while not page.evaluate(f"Boolean({expression})"):
        if time.monotonic() > end:
            raise TimeoutError(f"{page.url}: not true after {seconds:g} s: {expression}")
        page.wait_for_timeout(30)
