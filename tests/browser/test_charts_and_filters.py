"""Charts are read by pointer and by keys, runs are chosen, clips and figures are searched: by mouse and keyboard."""

from __future__ import annotations

import pytest
from small_results import clip_ids
from waiting import wait_until


def test_curves_are_read_by_keys_and_pointer_and_runs_are_left_out(visit):
    page = visit("training")
    figure = page.locator("figure[data-panel='0 0']")
    chart, said = figure.locator("svg"), figure.locator("output")
    chart.focus()
    for key, step in (("Home", "step 1: "), ("ArrowRight", "step 2: "), ("End", "step 3: ")):
        page.keyboard.press(key)
        assert said.inner_text().startswith(step)
    assert said.inner_text() == "step 3: base 0.3333, multi 0.3333"
    page.keyboard.press("Escape")
    assert said.inner_text() == ""
    box = chart.bounding_box()
    page.mouse.move(box["x"] + 60, box["y"] + 40)
    assert said.inner_text() == "step 1: base 1, multi 1"
    assert chart.locator("path.line").count() == 2
    page.get_by_role("checkbox", name="multi").click()
    assert chart.locator("path.line").count() == 1
    page.get_by_role("checkbox", name="base").focus()
    page.keyboard.press("Space")
    assert "nothing to draw" in chart.text_content()
    page.keyboard.press("Space")
    page.set_viewport_size({"width": 390, "height": 800})
    wait_until(page, "document.querySelector('[data-panel] svg').getAttribute('width') < 390")
    assert chart.locator("path.line.series-0").count() == 1, "what was left out stays so at another width"


def test_clips_are_found_by_words_split_and_order(visit):
    page = visit("data_set")
    rows, count = page.locator("[data-rows] tr"), page.locator("[data-found]")
    assert rows.count() == 10 and count.inner_text() == "10 of 10 clips"
    assert rows.first.locator("td").nth(3).inner_text().startswith("<script>alert"), "a caption is text"
    page.get_by_label("Words of the clip").fill("TRAIN clip 1")
    assert rows.count() == 1 and count.inner_text() == "1 of 10 clips"
    assert rows.first.locator("td").nth(2).inner_text() == "no"
    page.get_by_label("Words of the clip").fill("looping")
    assert rows.locator("td:nth-child(3)").all_inner_texts() == ["captions: looping caption: <b>no</b>"] * 2
    page.get_by_label("Words of the clip").fill("")
    page.locator("[data-state]").select_option("lost")
    assert count.inner_text() == "4 of 10 clips" and not page.get_by_role("button", name="Show more").is_visible()
    page.locator("[data-state]").select_option("kept")
    page.locator("[data-split]").select_option("evaluation")
    page.locator("[data-order]").select_option("entities down")
    shown = [int(each) for each in rows.locator("td:nth-child(6)").all_inner_texts()]
    assert len(shown) == 3 and shown == sorted(shown, reverse=True)
    link = rows.get_by_role("link", name=clip_ids("evaluation")[0])
    link.focus()
    page.keyboard.press("Enter")
    # Pictures above load on the way there: a page that scrolls smoothly stops short of the place.
    wait_until(page, "location.hash && document.querySelector(location.hash).getBoundingClientRect().top < 900", 10)
    assert clip_ids("evaluation")[0] in page.locator(page.evaluate("location.hash")).inner_text()


def test_histograms_spreads_and_jobs_say_what_they_hold(visit):
    page = visit("data_set")
    histogram = page.locator("[data-histogram='0']")
    histogram.locator("svg").focus()
    page.keyboard.press("Home")
    assert "train" in histogram.locator("output").inner_text() and "evaluation" in histogram.locator("output").inner_text()  # fmt: skip
    spread = page.locator("[data-spread='0 0']")
    spread.locator("svg").focus()
    page.keyboard.press("End")
    assert "evaluation <b>clip</b>" in spread.locator("output").inner_text()
    page = visit("provenance")
    timeline = page.locator("[data-timeline]")
    timeline.locator("svg").focus()
    said = []
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        said.append(timeline.locator("output").inner_text())
    assert sorted(said) == ["render_scenes train-0: 12.5 s, 2.00 GB", "train base: 13.5 s, 2.00 GB", "train multi: 14.5 s, 2.00 GB"]  # fmt: skip


@pytest.mark.parametrize(
    ("edges", "ticks"),
    [([17.5, 18.5, 19.5, 20.5], ["18", "19", "20"]), ([17.5, 18, 19, 20, 20.5], ["17.5", "18", "18.5", "19", "19.5", "20", "20.5"])],
)  # fmt: skip
def test_ticks_of_counted_things_are_whole_and_no_label_is_cut(visit, edges, ticks):
    page = visit("data_set")
    texts = page.evaluate(
        """(edges) => {
      const figure = document.querySelector("[data-histogram]");
      figure.parentElement.style.display = "block";
      const series = [{ name: "train", counts: edges.slice(1).map(() => 1) }];
      Charts.bars(figure, { label: "n", unit: "", edges, series, limits: [] })();
      const end = figure.querySelector("svg").getBoundingClientRect().right;
      return [...figure.querySelectorAll("text[text-anchor=middle]")].slice(0, -1).map((each) => [each.textContent, end - each.getBoundingClientRect().right]);
    }""",
        edges,
    )
    assert [text for text, _ in texts] == ticks and min(room for _, room in texts) >= 0


def test_the_shadow_of_what_scrolls_in_a_figure_has_the_figures_ground(visit):
    page = visit("data_set")
    ground, covers = page.evaluate(
        """() => {
      const region = document.querySelector("#clips figure .scroll");
      return [getComputedStyle(region.closest("figure")).backgroundColor, getComputedStyle(region).backgroundImage];
    }"""
    )
    assert covers.count(f"{ground} 40%") == 2


def test_compared_figures_are_searched_and_narrowed(visit):
    page = visit("compare")
    rows = page.locator("[data-row]:visible")
    every = rows.count()
    page.get_by_label("Words").fill("flicker")
    assert 0 < rows.count() < every
    page.get_by_label("Words").fill("")
    page.get_by_label("Show").select_option("apart")
    assert rows.count() == 0, "a folder does not differ from itself"
    page.get_by_label("Show").select_option("unequal")
    assert not [row for row in rows.all_inner_texts() if "–" not in row], "but for what has no value"
    page.get_by_label("Show").select_option("")
    assert "equal" in page.locator("[data-row]").first.inner_text() or rows.count() > 5
    assert page.get_by_text("Both have the same configuration").count() == 1


def test_a_wide_table_folds_columns_and_keeps_its_rows_names_and_their_heading(visit):
    page = visit("tables", width=800)
    table, folded = page.locator("#table1 table"), page.locator("#table1 [data-column=dynamic_share]").first
    assert not folded.is_visible() and page.locator("#table1 .group").count() == 2
    page.get_by_role("button", name="All columns").focus()
    page.keyboard.press("Enter")
    assert folded.is_visible()
    table.evaluate("table => { table.style.minWidth = '2000px'; table.parentElement.scrollLeft = 400; }")
    left = table.locator("..").bounding_box()["x"]
    for cell in (table.locator("thead th").first, table.locator("tbody th").first):
        box = cell.bounding_box()
        assert abs(box["x"] - left) < 1, "it stays where the table scrolls"
        over = "([x, y]) => document.elementFromPoint(x, y).closest('th').dataset.column ?? document.elementFromPoint(x, y).closest('th').rowSpan"
        assert page.evaluate(over, [box["x"] + box["width"] / 2, box["y"] + box["height"] - 4]) in ("model", 2)
        assert cell.evaluate("each => getComputedStyle(each).backgroundColor") != "rgba(0, 0, 0, 0)"


def test_without_scripts_every_column_stands_there(visit):
    page = visit("tables", java_script_enabled=False)
    assert page.locator("#table1 [data-column=dynamic_share]").first.is_visible()
    assert not page.locator("#table1 .columns").is_visible()


def test_films_load_when_seen_and_decode(visit, seen):
    page = visit("data_set")
    assert not [url for url in seen.media() if url.endswith(".mp4")], "none is seen yet"
    film = page.locator("#film-0 video")
    film.scroll_into_view_if_needed()
    wait_until(page, "document.querySelector('#film-0 video').readyState >= 1")
    film.click()
    wait_until(page, "(film => film.currentTime > 0 && film.videoWidth > 0)(document.querySelector('#film-0 video'))")
    assert film.evaluate("film => film.error") is None
    page.get_by_role("button", name="Play or pause: Clip and labels").first.focus()
    for paused in ("true", "false"):
        page.keyboard.press("Space")
        wait_until(page, f"document.querySelector('#film-0 video').paused === {paused}")
