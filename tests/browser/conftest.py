"""One browser for all tests of this folder, and a site on disk that it opens: of a small results folder full of hostile text."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from small_results import ROOT, measure_labels, set_against_base, small_job, summary_paths, write_results

from udpdiff.config.parsing import parse
from udpdiff.report.compare import compare
from udpdiff.report.inputs import Inputs
from udpdiff.report.render import render

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="session")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="no playwright here: pip install -e .[test]")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium here: apt-get install chromium")
    with api.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The folder of the report, with the page that compares two result folders beside it."""
    results = tmp_path_factory.mktemp("site") / "results"
    write_results(results)
    job = small_job()
    measured = [measure_labels(results, job), set_against_base(results)]
    for index, name in enumerate(("render_scenes/train-0", "train/base", "train/multi")):
        path = results.parent / f"benchmarks/{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{12.5 + index}\t0:00:12\t2048.0\n")
    default = parse(yaml.safe_load((ROOT / "config.yaml").read_text()))
    folder = results / "report"
    render(Inputs(job, results, measured, summary_paths(job, results), results.parent / "benchmarks", default), folder)
    compare(results, results, folder)
    return folder


@dataclass
class Seen:
    """What the pages of a test asked for, and what went wrong on them."""

    requests: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def media(self) -> list[str]:
        return [url for url in self.requests if "/media/" in url]


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def visit(browser, site, seen) -> Iterator[Callable]:
    """A function that opens a page of the site; no page may err, open a dialog, or ask anything of a network."""
    contexts = []

    def open_page(name: str, width: int = 1280, folder: Path = site, address: str = "", first: str = "", **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)  # of a busy machine
        page.on(
            "console", lambda said: said.type in ("error", "warning") and seen.faults.append(f"{name}: {said.text}")
        )
        page.on("pageerror", lambda error: seen.faults.append(f"{name}: {error}"))
        page.on("dialog", lambda dialog: seen.faults.append(f"{name} opened a dialog") or dialog.dismiss())
        page.on("request", lambda request: seen.requests.append(request.url))
        if first:  # run before any script of the page
            page.add_init_script(first)
        page.goto((folder / f"{name}.html").as_uri() + address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    asked = [url for url in seen.requests if not url.startswith(("file:", "data:", "blob:"))]
    assert not seen.faults and not asked, f"{seen.faults} {asked}"
