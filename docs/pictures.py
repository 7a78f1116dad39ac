"""The README's pictures, made from what they show.

python docs/pictures.py generate                # generate.png: what the shipped model makes of the README's prompt
python docs/pictures.py report results/report   # report.png, samples.png: that report in Chromium (needs the extra `test`)
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from udpdiff import command

if TYPE_CHECKING:
    from playwright.sync_api import Page

HERE = Path(__file__).parent
PROMPT, TASKS = "a red ball rolls left on a grey floor", ("depth", "seg")
_GAP_PIXELS, _SCALE = 5, 2  # white between the strips of both tasks; without blur
_EDGE_PIXELS = 10  # above and below what is shown of a page
_FLAGS = ["--no-sandbox", "--disable-gpu"]


def generate(out: Path) -> None:
    """Write generate.png: the strips of `udpdiff generate` for both tasks, one below the other, at twice their size."""
    strips = []
    with tempfile.TemporaryDirectory() as folder:
        for task in TASKS:
            words = [
                "generate",
                PROMPT,
                "--task",
                task,
                "--format",
                "png",
                "--device",
                "cpu",
                "--out",
                f"{folder}/{task}",
            ]
            command.main(words)
            strips.append(np.asarray(Image.open(f"{folder}/{task}/strip.png")))
    gap = np.full((_GAP_PIXELS, *strips[0].shape[1:]), 255, np.uint8)
    picture = np.concatenate([strips[0], gap, strips[1]])
    Image.fromarray(picture.repeat(_SCALE, axis=0).repeat(_SCALE, axis=1)).save(out / "generate.png", optimize=True)


def report(site: Path, out: Path) -> None:
    """Write report.png, the top of a report's first page, and samples.png, its first two samples beside the base's."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")  # else the one that playwright has installed
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=_FLAGS)
        # Films stand still at their first frames, so that the pictures of one report are equal.
        page = browser.new_page(viewport={"width": 1180, "height": 1160}, reduced_motion="reduce")
        page.goto((site / "index.html").resolve().as_uri())
        _save(page, out / "report.png", 0, 1160)
        page = browser.new_page(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        page.goto((site / "samples.html").resolve().as_uri())
        against = page.locator("[name=against]")
        if "base" in against.locator("option").all_inner_texts():
            against.select_option(label="base")
        page.locator(".pager").first.evaluate(f"pager => {{ pager.scrollIntoView(); scrollBy(0, -{_EDGE_PIXELS}); }}")
        top = page.locator(".pager").first.bounding_box()["y"] - _EDGE_PIXELS
        boxes = [each.bounding_box() for each in page.locator("article.sample").all()[:2]]
        _save(page, out / "samples.png", top, max(box["y"] + box["height"] for box in boxes) - top + _EDGE_PIXELS)
        browser.close()


def _save(page: Page, path: Path, top: float, height: float) -> None:
    """Write a part of what a page shows, in full width, once its films are there, in 256 colours."""
    end = time.monotonic() + 60
    ready = "films = [...document.querySelectorAll('video[src]')], films.length && films.every(each => each.readyState >= 2)"
    while not page.evaluate(f"(() => {{ let films; return Boolean(({ready})); }})()"):
        if time.monotonic() > end:
            raise TimeoutError(f"{page.url}: its films are not there after a minute")
        page.wait_for_timeout(100)
    page.wait_for_timeout(500)  # to draw them
    shown = {"x": 0, "y": top, "width": page.viewport_size["width"], "height": height}
    picture = Image.open(io.BytesIO(page.screenshot(clip=shown))).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    """Run one of the commands above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", choices=("generate", "report"))
    parser.add_argument("site", nargs="?", type=Path, default=Path("results/report"), help="folder of the report")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to; docs by default")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    generate(arguments.out) if arguments.picture == "generate" else report(arguments.site, arguments.out)


if __name__ == "__main__":
    main()
