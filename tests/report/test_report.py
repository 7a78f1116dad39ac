"""The report from a small results folder: complete, escaped, and without a word to the network."""

from __future__ import annotations

import json
import re

import pytest
from small_results import Links, measure_labels, open_in_browser, small_settings, write_results

from udpdiff.planning import costs
from udpdiff.report import quality
from udpdiff.report.render import render


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    results = tmp_path_factory.mktemp("work") / "results"
    write_results(results)
    with pytest.MonkeyPatch.context() as patch:
        measured = measure_labels(results, patch)
    benchmark = results.parent / "benchmarks/train/base.tsv"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text("s\th:m:s\tmax_rss\n12.5\t0:00:12\t2048.0\n")
    page, media = results / "report/index.html", results / "report/media"
    figures = render(small_settings(), results, results.parent / "benchmarks", [measured], page, media)
    return page, figures


def test_hostile_text_stays_text_and_nothing_is_fetched(rendered):
    page, _ = rendered
    links = Links()
    links.feed(page.read_text())
    assert not links.tags & {"script", "i", "iframe", "object", "link"}
    assert "&lt;script&gt;" in page.read_text()
    assert "looping caption: &lt;b&gt;no" in page.read_text()
    assert links.found and not [link for link in links.found if re.match(r"(?i)\w+:|//", link)]
    for link in links.found:
        assert link.startswith("#") or (page.parent / link).is_file(), link


def test_goals_are_judged_by_what_was_measured(rendered):
    page, figures = rendered
    assert figures["labels.entity_miou"] == figures["labels.entity_miou_low"] == 1
    assert (
        figures["labels.entity_miou"] == figures["labels.entityseg.entity_miou"] > figures["labels.merged.entity_miou"]
    )
    assert figures["labels.depth_flicker"] < figures["labels.pumping.depth_flicker"]
    assert figures["cost.train_seconds"] == 12.5 and figures["cost.peak_rss_gb"] == 2.0
    verdicts = {verdict["key"]: verdict["met"] for verdict in quality.judge(figures)}
    assert verdicts["labels.entity_miou"] is True
    assert verdicts["codec.vae_entity_miou"] is None, "what was not measured is not met"
    assert quality.judge(figures | {"labels.entity_miou": 0.79})[0]["met"] is False
    assert "not measured" in page.read_text()


def test_above_a_control_means_a_gain_that_is_no_chance():
    figures = {"generated.depth_delta1": 0.8, "generated.depth_delta1_shuffled": 0.7}
    figures |= {"generated.depth_delta1_over_shuffled_low": 0.02, "generated.depth_delta1_over_shuffled_high": 0.18}

    def met(control: str):
        goal = f"> generated.depth_delta1_{control}"
        return [v["met"] for v in quality.judge(figures) if v["goal"].split(" (")[0] == goal]

    assert (met("shuffled"), met("constant")) == ([True], [None])
    figures["generated.depth_delta1_over_shuffled_low"] = -0.02
    assert met("shuffled") == [False]


def test_paper_and_ours_stand_in_columns_of_their_own(rendered):
    text = rendered[0].read_text()
    row = re.search(r"CogVideoX 5B</td>(.*?)</tr>", text, re.S).group(1)
    assert [re.sub(r"\s+", " ", cell).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.S)][1] == "94.57"


def test_wall_time_counts_invocations_and_not_the_pause_between(tmp_path):
    log = tmp_path / "invocations.jsonl"
    events = [("start", 0), ("end", 10), ("start", 100), ("end", 105)]
    log.write_text("".join(json.dumps({"event": event, "time": time}) + "\n" for event, time in events))
    assert costs.Invocations(tmp_path).total_seconds() == 15


def test_memory_adds_up_over_jobs_side_by_side():
    job = lambda end, seconds, gb: costs.JobCost("rule", "job", end, seconds, gb)  # noqa: E731
    assert costs.peak_rss_gb([job(10, 10, 1.0), job(12, 5, 2.0), job(30, 5, 2.5)]) == 3.0


@pytest.mark.parametrize("width", [1280, 390])
def test_page_opens_from_disk_in_a_browser(rendered, tmp_path, width):
    shown, shot = open_in_browser(rendered[0], tmp_path, width)
    assert "UDPDiff" in shown and shot.stat().st_size > 10_000
