"""Every page of the site in a real browser: no errors, names and contrast by axe-core in light and dark, links that lead."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

PAGES = ("index", "samples", "tables", "data_set", "training", "goals", "provenance", "compare")
MOST_NODES = 3000


@pytest.fixture(scope="module")
def axe():
    found = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe here: pip install -e .[test]")
    return found.Axe()


def violations(axe, page, **options) -> list[str]:
    """Rule, element and why, of everything that axe-core finds."""
    found = axe.run(page, options=options or None).response["violations"]
    return [
        f"{each['id']}: {node['html'][:160]} {node['failureSummary'][:200]}" for each in found for node in each["nodes"]
    ]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_in_light_and_dark_and_on_a_phone(axe, visit, site, name):
    page = visit(name, color_scheme="light")
    page.locator("h1").wait_for()
    assert violations(axe, page) == []
    page.emulate_media(color_scheme="dark")
    assert violations(axe, page, runOnly=["color-contrast"]) == [], "in the dark"
    assert page.evaluate("document.querySelectorAll('*').length") <= MOST_NODES
    assert page.locator("main script, main i, main b, img[src^='http']").count() == 0, "captions are text"
    for address in page.eval_on_selector_all("a[href]", "links => links.map(link => link.href)"):
        leads_somewhere(address, page.url)
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, "no scrolling sideways"


def leads_somewhere(address: str, here: str) -> None:
    parts = urlsplit(address)
    target = Path(unquote(parts.path))
    assert parts.scheme == "file" and target.is_file(), f"{address} on {here}"
    if parts.fragment and "=" not in parts.fragment:  # with one it is the state of a script
        assert f'id="{unquote(parts.fragment)}"' in target.read_text(), f"{address} on {here}"


def test_pages_are_reached_by_keyboard_and_the_choice_of_colours_stays(visit):
    page = visit("index", color_scheme="light")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    switch = page.locator("[data-theme-switch]")
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    switch.focus()
    page.keyboard.press("Enter")
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert dark != before
    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Training").click()
    page.wait_for_url("**/training.html")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
    switch.click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == before
