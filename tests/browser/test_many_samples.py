"""A page of 1,024 samples: loads nothing that is not seen, stays small, and decodes few films at once."""

from __future__ import annotations

import pytest
from waiting import wait_until

from benchmarks.large_site import SAMPLES, write_large_site

MOST_BYTES, MOST_NODES, MOST_FILMS = 2_000_000, 3000, 16
# Films that are no longer in the page may go on decoding too, so all that were ever made are counted.
KEEP_FILMS = """
window.filmsMade = [];
const create = document.createElement.bind(document);
document.createElement = (...given) => {
  const made = create(...given);
  if (made.tagName === "VIDEO") filmsMade.push(made);
  return made;
};
"""
DECODING = "filmsMade.filter(film => film.hasAttribute('src')).length"


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    return write_large_site(tmp_path_factory.mktemp("large")).parent


def test_media_are_asked_for_when_they_are_seen(visit, seen, large):
    page = visit("samples", folder=large, address="#run=")
    assert (large / "samples.html").stat().st_size <= MOST_BYTES, "all that comes before the first view"
    wait_until(page, "document.querySelectorAll('article.sample').length > 0")
    page.wait_for_timeout(300)
    near = page.evaluate(
        "[...document.querySelectorAll('article.sample')].filter(each => each.getBoundingClientRect().top < innerHeight + 250).length"
    )
    first = len(set(seen.media()))
    assert first <= near, f"{first} films for {near} tiles in view"
    page.evaluate("document.querySelector('[data-grid]').lastElementChild.scrollIntoView({behavior: 'instant'})")
    wait_until(page, "[...document.querySelectorAll('article.sample')].at(-1).querySelector('video').readyState >= 2")
    assert len(set(seen.media())) > first


@pytest.mark.parametrize(
    ("key", "order", "falls"),
    [("figure_0", "worst", False), ("figure_0", "best", True), ("figure_0", "low", False), ("figure_0", "high", True),
     ("figure_11", "worst", False), ("figure_11", "best", True), ("figure_11", "high", True)],
)  # fmt: skip
def test_samples_are_sorted_by_a_figure_as_the_address_says(visit, large, key, order, falls):
    page = visit("samples", folder=large, address=f"#run=&sort={key}&order={order}")
    values = [float(each) for each in page.locator("dl.scores .sorted dd").all_inner_texts()]
    assert len(values) == 12 and values == sorted(values, reverse=falls) and len(set(values)) > 1
    assert (values[0] > 0.5) == falls, "of all samples, not of one page alone"


def test_few_films_decode_at_once_and_the_page_stays_small(visit, large):
    page = visit("samples", folder=large, address="#run=&against=1", first=KEEP_FILMS)
    status = page.get_by_role("status")
    assert f"{2 * SAMPLES:,} samples" in status.inner_text()
    page.get_by_role("button", name="Play").click()
    for _ in range(2):
        height = page.evaluate("document.documentElement.scrollHeight")
        for top in range(0, height, 700):
            page.evaluate(f"scrollTo({{top: {top}, behavior: 'instant'}})")
            page.wait_for_timeout(60)
            assert page.evaluate(DECODING) <= MOST_FILMS
            assert page.evaluate("document.querySelectorAll('*').length") <= MOST_NODES
        page.get_by_role("button", name="Next").last.click()
    assert page.evaluate(DECODING) > 0, "films are there"
    for _ in range(4):  # what a page had loaded is let go with it
        page.get_by_role("button", name="Next").first.click()
        page.wait_for_timeout(100)
        assert page.evaluate(DECODING) <= MOST_FILMS
    page.get_by_label("Prompt contains").fill("in 1023")
    assert status.inner_text() == "1–2 of 2 samples"
