"""The samples' page: filters, transport, wipe and read-out by mouse and keyboard; films decode and are drawn."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from small_results import HOSTILE
from waiting import wait_until


@pytest.fixture
def page(visit):
    """All samples, their films ready."""
    page = visit("samples", address="#run=&films=1")
    wait_until(page, "[...document.querySelectorAll('video')].some(film => film.readyState >= 2)")
    return page


def drawn(canvas) -> np.ndarray:
    """What is on screen of a canvas: a page from disk may not read back what it drew."""
    return np.asarray(Image.open(io.BytesIO(canvas.screenshot())).convert("RGB")).astype(int)


def test_samples_are_filtered_and_the_address_keeps_the_choice(page):
    tiles, status = page.locator("article.sample"), page.get_by_role("status")
    assert tiles.count() == 3 and status.inner_text() == "1–3 of 3 samples"
    assert HOSTILE in tiles.first.inner_text()
    page.get_by_label("Task").select_option("depth")
    assert tiles.count() == 1 and "task=depth" in page.url
    page.reload()
    wait_until(page, "document.querySelectorAll('article.sample').length === 1")
    search = page.get_by_label("Prompt contains")
    search.focus()
    page.keyboard.type("no such words")
    assert status.inner_text() == "No sample is like that." and tiles.count() == 0
    page.get_by_role("button", name="Reset").focus()
    page.keyboard.press("Enter")
    wait_until(page, "document.querySelectorAll('article.sample').length > 1")


def test_a_figure_says_which_samples_have_it(page):
    status, tiles = page.get_by_role("status"), page.locator("article.sample")
    groups = [group.get_attribute("label") for group in page.locator("select[name=sort] optgroup").all()]
    assert groups == ["video", "entity segmentation", "depth estimation", "depth estimation, of depth_anything"]
    page.get_by_label("Sort by").select_option("depth_delta1")
    assert status.inner_text() == "1–1 of 1 sample; 2 without this figure are left out"
    page.get_by_label("Task").select_option("seg")
    assert tiles.count() == 0 and "is a figure of depth estimation. Choose such samples" in status.inner_text()
    page.get_by_label("Task").select_option("depth")
    assert status.inner_text() == "1–1 of 1 sample"
    page.get_by_label("to", exact=True).fill("0.1")
    assert status.inner_text() == "No sample is like that.", "it is the bound that leaves it out"


def test_only_figures_with_a_better_end_have_a_worst(page):
    offered = (
        "[...document.querySelector('select[name=order]').options].filter(each => !each.hidden).map(each => each.value)"
    )
    page.get_by_label("Sort by").select_option("depth_delta1")
    assert page.evaluate(offered) == ["worst", "best", "low", "high"]
    page.get_by_label("Sort by").select_option("depth_flow_error_labels")
    assert page.evaluate(offered) == ["low", "high"] and "order=low" in page.url


def test_one_transport_moves_every_film(page):
    bar = page.get_by_role("group", name="Transport of all films")
    counter, scrubber = bar.locator("[data-counter]"), bar.get_by_role("slider", name="Frame")
    assert counter.inner_text() == "1 / 5"
    canvas = page.locator("article.sample canvas").first
    page.wait_for_timeout(200)
    first = drawn(canvas)
    assert first.std() > 5, "a film is drawn"
    scrubber.focus()
    page.keyboard.press("End")
    wait_until(page, "document.querySelector('[data-counter]').textContent === '5 / 5'")
    wait_until(page, "[...document.querySelectorAll('video')].every(film => !film.seeking && Math.abs(film.currentTime * 8 - 4.5) < 0.5)")  # fmt: skip
    page.wait_for_timeout(200)
    assert np.abs(drawn(canvas) - first).mean() > 0.2, "another frame is drawn"
    page.locator("h1").click()
    page.keyboard.press("ArrowLeft")
    wait_until(page, "document.querySelector('[data-counter]').textContent === '4 / 5'")
    page.keyboard.press("Space")
    bar.get_by_role("button", name="Pause").wait_for()  # it is drawn with the next frame
    wait_until(page, "document.querySelector('[data-counter]').textContent !== '4 / 5'")
    bar.get_by_role("button", name="Pause").click()
    bar.get_by_role("button", name="Play").wait_for()
    assert page.evaluate("[...document.querySelectorAll('video')].every(film => film.paused)")


def test_a_wipe_sets_two_models_against_each_other(page):
    page.get_by_label("Compare with").select_option(label="base")
    slider = page.get_by_role("slider", name="Wipe").first
    top = page.locator("canvas.wiped").first
    before = top.evaluate("each => each.style.clipPath")
    page.get_by_label("Compare with").focus()
    for _ in range(12):  # the fields between, the pager, and what else can be read of the first tile
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('.wipe')"):
            break
    page.keyboard.press("ArrowLeft")
    by_key = top.evaluate("each => each.style.clipPath")
    assert by_key != before
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.8, box["y"] + box["height"] / 2)
    assert top.evaluate("each => each.style.clipPath") not in (before, by_key)
    assert abs(int(slider.input_value()) - 80) < 8


def test_what_is_under_the_pointer_is_read_out(page):
    page.get_by_label("Task").select_option("depth")
    canvas = page.locator("article.sample canvas").last
    canvas.scroll_into_view_if_needed()
    canvas.hover()
    said = page.locator("output.readout").last
    wait_until(page, "/^depth [01][.]\\d\\d$/.test([...document.querySelectorAll('output.readout')].at(-1).textContent)")  # fmt: skip
    page.mouse.move(0, 0)
    assert said.inner_text() == ""
    canvas.focus()
    page.keyboard.press("Shift+ArrowRight")
    wait_until(page, "[...document.querySelectorAll('output.readout')].at(-1).textContent.startsWith('depth ')")
