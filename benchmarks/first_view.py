"""The report: seconds from opening a page of 1,024 samples from disk until its first film is drawn, in headless Chromium.

The target is 2 s. Needs playwright and Debian's chromium; a busy machine shows in the spread.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.large_site import SAMPLES, write_large_site
from benchmarks.pairing import median
from benchmarks.results import results_path, table, write_results

_SIGNS = {  # in the order in which they come
    "tiles and figures": "document.querySelectorAll('article.sample').length > 0",
    "first film": "[...document.querySelectorAll('video')].some(film => film.readyState >= 2)",
}


def seconds_to_first_view(page: Path, rounds: int) -> list[dict[str, float]]:
    """Open a page so many times in a fresh context; return seconds until its text is there and until a film is ready."""
    from playwright.sync_api import sync_playwright

    found = []
    with sync_playwright() as api:
        browser = api.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        for _ in range(rounds):
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            opened = context.new_page()
            start = time.monotonic()
            opened.goto(page.as_uri(), wait_until="commit")
            timing = {}
            for name, sign in _SIGNS.items():
                while not opened.evaluate(sign):
                    time.sleep(0.005)
                timing[name] = time.monotonic() - start
            found.append(timing)
            context.close()
        browser.close()
    return found


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path)
    words = list(sys.argv[1:] if words is None else words)
    arguments = parser.parse_args(words)
    with tempfile.TemporaryDirectory() as folder:
        page = write_large_site(Path(folder))
        megabytes = page.stat().st_size / 1e6
        found = seconds_to_first_view(page, arguments.rounds)
    rows = [{"until": name, "seconds": str(median([each[name] for each in found]))} for name in found[0]]
    write_results(
        arguments.output or results_path("first_view", str(SAMPLES)),
        "benchmarks.first_view",
        f"The first view of a page of {SAMPLES:,} samples",
        [
            f"The page has {megabytes:.2f} MB, opened from disk in headless Chromium, each time in a fresh context.",
            table(rows),
        ],
        words,
    )


if __name__ == "__main__":
    main()
