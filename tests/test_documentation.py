"""The documentation builds as a site without a warning; all its links lead somewhere; its API page shows docstrings."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

import udpdiff

ROOT = Path(__file__).parents[1]
FOR_USERS = (
    "use.md",
    "first_steps.ipynb",
    "data.md",
    "scales.md",
    "configuration.md",
    "checkpoints.md",
    "cluster.md",
    "training.md",
    "measures.md",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("documentation")
    options = ["-W", "--keep-going", "-q", "-d", folder / "doctrees"]
    command = [sys.executable, "-m", "sphinx", *options, "-c", "docs", ".", folder / "site"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "site"


def test_modules_that_pages_for_users_name_are_on_the_page_of_the_api():
    shown = set(
        re.findall(r"auto(?:module|class):: (udpdiff\.[a-z]\w+\.?[a-z_0-9]*)", (ROOT / "docs/api.md").read_text())
    )
    for page in ["README.md", *(f"docs/{name}" for name in FOR_USERS)]:
        text = (ROOT / page).read_text()
        named = set(re.findall(r"(?<!-m )\budpdiff\.[a-z_]+\.[a-z_0-9]+", text))  # not what is run as a command
        named |= {each.replace("/", ".") for each in re.findall(r"see (udpdiff/\w+/\w+)\.py", text)}
        missing = {each for each in named if not {each, each.rpartition(".")[0]} & shown}  # a module, or a name in one
        assert not missing, f"{page}: {missing}"
    assert set(udpdiff._LAZY.values()) <= shown


class _Links(HTMLParser):
    """What a page refers to, and the places in it that can be referred to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found, self.anchors = [], {""}
        self.feed(page.read_text())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.found += [attrs[name] for name in ("href", "src") if attrs.get(name)]
        self.anchors |= {attrs[name] for name in ("id", "name") if attrs.get(name)}


def test_the_site_builds_without_a_warning(site):
    page = (site / "docs" / "api.html").read_text()
    assert "UDPDiffPipeline" in page and "Reads entities off segmentation colormaps" in page
    assert "labels.tracker.max_objects" in (site / "docs" / "configuration.html").read_text()
    assert 'url=docs/index.html"' in (site / "index.html").read_text()


def test_every_link_of_the_site_leads_somewhere_and_some_link_to_every_page(site):
    pages = {path.relative_to(site): _Links(path) for path in site.rglob("*.html")}
    reached = set()
    for name, page in pages.items():
        for link in page.found:
            target, _, anchor = link.partition("#")
            if link.startswith(("http://", "https://", "mailto:", "data:")):
                continue
            path = (site / name.parent / target.partition("?")[0]).resolve() if target else site / name
            assert path.is_file(), f"{name}: {link}"
            if path.suffix == ".html":
                place = path.relative_to(site)
                reached |= {place} - {name}
                assert anchor in pages[place].anchors, f"{name}: {link}"
    assert reached | {Path("index.html")} == set(pages)
