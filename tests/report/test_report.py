"""The site from a small results folder: complete, escaped, and without a word to the network."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import numpy as np
import pytest
from page_elements import Elements
from small_results import (
    HOSTILE,
    measure_labels,
    open_in_browser,
    set_against_base,
    small_job,
    summary_paths,
    write_results,
    write_sample_shard,
)

from udpdiff.report import quality
from udpdiff.report.inputs import Inputs
from udpdiff.report.render import render
from udpdiff.storage.sealed import write_record

PAGES = ("index", "samples", "tables", "data_set", "training", "goals", "provenance")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory):
    results = tmp_path_factory.mktemp("work") / "results"
    write_results(results)
    job = small_job()
    measured = [measure_labels(results, job), set_against_base(results)]
    benchmark = results.parent / "benchmarks/train/base.tsv"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text("s\th:m:s\tmax_rss\n12.5\t0:00:12\t2048.0\n")
    # Left behind by an earlier configuration: another run, and another shard of everything.
    left = {"left over": np.zeros((5, 32, 32, 3), np.uint8)}
    write_sample_shard(results, "abandoned", "seg", 0, left, np.zeros((5, 32, 32), np.uint16))
    write_sample_shard(results, "base", "video", 1, left)
    (results / "clips/train/1.h5").write_bytes(b"no shard")
    (results / "clips/train/1.json").write_text("no summary")
    for name in ("train/abandoned", "segment_entities/entityseg/train/1"):
        benchmark = results.parent / f"benchmarks/{name}.tsv"
        benchmark.parent.mkdir(parents=True, exist_ok=True)
        benchmark.write_text("s\th:m:s\tmax_rss\n999.0\t0:00:12\t9048.0\n")
    # A training that goes on after the export, in a folder that no rule names.
    (results / "training/base").mkdir(parents=True)
    (results / "training/base/train.jsonl").write_text('{"step": 4, "loss": 77}\n')
    (results / "training/base/provenance.json").write_text('{"commit": "left over"}')
    summaries = summary_paths(job, results)
    figures = render(Inputs(job, results, measured, summaries, results.parent / "benchmarks"), results / "report")
    return results / "report", figures


def text_of(rendered, name: str) -> str:
    return (rendered[0] / f"{name}.html").read_text()


@pytest.mark.parametrize("name", PAGES)
def test_hostile_text_stays_text_and_nothing_is_fetched(rendered, name):
    folder, text = rendered[0], text_of(rendered, name)
    links = Elements(text)
    assert not links.tags & {"i", "iframe", "object", "link"} and not links.foreign
    assert links.found and not [link for link in links.found if re.match(r"(?i)\w+:|//", link)]
    for link in links.found:
        assert link.startswith("#") or (folder / link.partition("#")[0]).is_file(), link


def test_hostile_text_is_shown(rendered):
    data = Elements(text_of(rendered, "samples")).data
    assert data["prompts"] == [{"id": "clip", "text": HOSTILE}]
    assert "&lt;script&gt;" in text_of(rendered, "index")
    rejections = Elements(text_of(rendered, "data_set")).data["funnel"]["rejections"]
    assert "looping caption: <b>no</b>" in [each["reason"] for each in rejections]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_holds_its_data_and_the_same_lie_beside_it_with_their_schema(rendered, name):
    folder = rendered[0] / "data"
    published = json.loads((folder / f"{name}.json").read_text(), parse_constant=pytest.fail)
    assert Elements(text_of(rendered, name)).data == published
    schema = json.loads((folder / f"{name}.schema.json").read_text())
    assert set(published) == set(schema["properties"]) and schema["additionalProperties"] is False
    # Configurations, whole or in part, are any json.
    assert set(loose(schema)) <= {"config", "settings", "first", "second"}


def loose(schema: dict | list, name: str = "") -> Iterator[str]:
    """Names of the fields of a schema that may hold any json."""
    if isinstance(schema, list):
        for each in schema:
            yield from loose(each, name)
    elif isinstance(schema, dict):
        if schema.get("additionalProperties") is True or not set(schema) - {"title", "description", "default"}:
            yield name
        for key, part in schema.items():
            if key in ("properties", "$defs"):
                for field, each in part.items():
                    yield from loose(each, field)
            elif key in ("items", "anyOf", "additionalProperties"):
                yield from loose(part, name)


def test_every_section_shows_what_there_is(rendered):
    text = text_of(rendered, "data_set")
    films = re.findall(r'<video data-src="media/([^"]+)"', text)
    assert films == [f"data-train-0-{index:03d}.mp4" for index in range(3)]
    rejected = {each["stage"]: each["reason"] for each in Elements(text).data["funnel"]["rejections"]}
    assert rejected == {"filter": "broken: <b>no</b>", "captions": "looping caption: <b>no</b>"}, "the judges' alone"


def test_samples_have_films_and_figures_of_every_run(rendered):
    data = Elements(text_of(rendered, "samples")).data
    pairs = {(pair["run"], pair["task"]): pair for pair in data["pairs"]}
    assert list(pairs) == [("base", "video"), ("multi", "seg"), ("multi", "depth")] and data["base"] == 0
    for (run, task), pair in pairs.items():
        assert pair["film"]["prompts"] == [0] and (rendered[0] / f"media/{run}/{task}/0000.mp4").is_file()
    assert pairs["multi", "seg"]["scores"] == {"subject_consistency": [9000], "entity_tube_iou": [5000]}
    overview = Elements(text_of(rendered, "index")).data
    assert (overview["train_clips"], overview["evaluation_clips"], overview["rejected_clips"]) == (3, 3, 2)
    strip = overview["strip"]
    assert [(item["task"], item["figure"]) for item in strip] == [("seg", "entity_tube_iou"), ("depth", "depth_delta1")]


def test_verdicts_on_claims_stand_on_the_first_page(rendered, tmp_path):
    line = {"label": "consistency", "difference": 0.25, "low": None, "high": None, "paper_difference": 1.5}
    line |= {"row": {"label": "ours"}, "against": {"label": "base"}, "outcome": "not shown"}
    line |= {"papers_figure": False, "p_corrected": 0.126}
    claim = {"says": HOSTILE, "section": "4.2", "table": 1, "outcome": "not shown", "reason": None, "parts": [line]}
    found = {"scale": {"words": "Small."}, "seeds": {"words": "One training: about these weights."}, "claims": [claim]}
    write_record(tmp_path / "verdicts.json", found)
    results = rendered[0].parent
    job = small_job(runs={"multi": {"tasks": {"depth": 1.0}}}, clips={"train": 4, "shard_clips": 4})
    verdicts = tmp_path / "verdicts.json"
    render(Inputs(job, results, [], summary_paths(job, results), tmp_path, verdicts=verdicts), tmp_path)
    text = (tmp_path / "index.html").read_text()
    claims = text.split('id="claims"')[1].split("</section>")[0]
    assert "about these weights" in claims and "not shown" in claims and "0.250" in claims and "1.500" in claims
    assert "p 0.126 (Holm)" in claims and "by AMT, not comparable" in claims
    assert HOSTILE not in text
    assert "steps on 3 clips from scenes" in text and "4 clips" not in text, "three were left of four"
    assert "steps on 3 clips from scenes" in (tmp_path / "tables.html").read_text()


def test_how_it_was_made_has_a_line_for_each_run(rendered):
    made = text_of(rendered, "provenance").split('id="made"')[1].split("</section>")[0]
    rows = [re.sub(r"<[^>]+>", " ", row).split() for row in re.findall(r"<tr>(.*?)</tr>", made, re.S)]
    started = {words[0]: [word for word in words if "2026-" in word] for words in rows if "2026-" in " ".join(words)}
    assert started == {"base": ["2026-01-01"], "multi": ["2026-01-02"]}
    assert "c0ffee" in made and "facade" in made and "abababababab" in made and "peft" not in made


def test_runs_stand_against_the_base_from_the_job_to_the_cell(rendered):
    """Videos of `multi` for seg are the base's own: at 1 for certain; those for depth are farther from real ones."""
    figures = rendered[1]
    section = text_of(rendered, "tables").split('id="against-base"')[1].split("</section>")[0]
    rows = [re.sub(r"<[^>]+>", " ", row).split() for row in re.findall(r"<tr>(.*?)</tr>", section, re.S)]
    seg, depth = rows[-2:]
    assert seg == ["multi", "seg", "1.000", "[1.000,", "1.000]", "1.000", "[1.000,", "1.000]", "0.300", "1.500"]
    assert depth[:2] == ["multi", "depth"] and float(depth[2]) > 1.1 and depth[-2:] == ["0.300", "1.500"]
    assert "24 videos of each model" in section and "40 real ones, in 6 dimensions" in section
    goals = ["against_base.multi.fvd_ratio_seg <= 1.1", "against_base.multi.fvd_ratio_depth <= 1.1"]
    assert [verdict["met"] for verdict in quality.judge(figures, goals)] == [True, False]
    assert (figures["against_base.multi.fvd_ratio_seg_low"], figures["against_base.multi.fvd_ratio_seg_n"]) == (1, 24)
    assert figures["against_base.feature_dimensions"] == 6
    verdicts = {verdict["key"]: verdict for verdict in Elements(text_of(rendered, "goals")).data["verdicts"]}
    ratio = verdicts["against_base.multi.video_loss_ratio"]
    assert (ratio["value"], ratio["goal"], ratio["met"]) == (pytest.approx(1.5), "<= 1.1", False)
    row = re.search(
        r"<tr>(?:(?!<tr>).)*against_base.multi.video_loss_ratio</code>.*?</tr>", text_of(rendered, "goals"), re.S
    )
    assert "1.5000" in row.group() and "missed" in row.group()
    assert ratio["of"] == "against the base (multi)" and ratio["words"] == "≤ 1.1"


def test_what_was_left_behind_is_not_shown(rendered):
    for name in PAGES:
        assert "left over" not in text_of(rendered, name) and "abandoned" not in text_of(rendered, name)
    assert not list((rendered[0] / "media").glob("abandoned*"))
    assert "cost.segment_entities_seconds" not in rendered[1]


def test_goals_are_judged_by_what_was_measured(rendered):
    figures = rendered[1]
    goals = small_job().config.report.goals
    assert figures["labels.entity_miou"] == figures["labels.entity_miou_low"] == 1
    assert (
        figures["labels.entity_miou"] == figures["labels.entityseg.entity_miou"] > figures["labels.merged.entity_miou"]
    )
    assert figures["labels.depth_flicker"] < figures["labels.pumping.depth_flicker"]
    assert figures["cost.train_seconds"] == 12.5 and figures["cost.peak_rss_gb"] == 2.0
    verdicts = {verdict["key"]: verdict["met"] for verdict in quality.judge(figures, goals)}
    assert verdicts["labels.entity_miou"] is True
    assert verdicts["codec.vae_entity_miou"] is None, "what was not measured is not met"
    assert quality.judge(figures | {"labels.entity_miou": 0.79}, goals)[0]["met"] is False
    assert "not measured" in text_of(rendered, "goals")
    told = {(line["key"], line["goal"][0]): line for line in Elements(text_of(rendered, "goals")).data["verdicts"]}
    seconds, gain = told["cost.total_seconds", "<"], told["generated.depth_delta1", ">"]
    assert (seconds["of"], seconds["unit"]) == ("the whole run", "s") and seconds["words"].endswith(" s")
    assert gain["of"] == "what was generated (multi)" and gain["words"].startswith(
        ("> exchanged between", "> one prediction")
    )


def test_paper_and_ours_stand_in_columns_of_their_own(rendered):
    row = re.search(r"CogVideoX 5B<(.*?)</tr>", text_of(rendered, "tables"), re.S).group(1)
    assert re.findall(r'data-column="([^"]+)" data-value="([^"]+)"', row) == [
        ("subject_consistency", "88.5"),
        ("subject_consistency-paper", "94.57"),
        ("dynamic_share", "12.5"),
    ]
    assert "samples.html#run=base&amp;task=video&amp;sort=subject_consistency&amp;order=worst" in row
    for name in ("table1.csv", "table1.tex"):
        assert "88.5" in (rendered[0] / "data" / name).read_text()


def test_goals_are_counted_on_the_first_page_and_theirs_says_where_it_is_explained(rendered):
    met = [verdict["met"] for verdict in Elements(text_of(rendered, "goals")).data["verdicts"]]
    counts = [met.count(each) for each in (True, False, None)]
    assert all(counts), "some of each kind"
    words = f"{counts[0]} of {len(met)} met, {counts[1]} missed</a>, {counts[2]} not measured"
    assert f'<a href="goals.html">{words}' in text_of(rendered, "index")
    assert "docs/limits.md" in text_of(rendered, "goals") and "docs/mini-scale.md" in text_of(rendered, "goals")


def test_a_task_and_its_share_stay_in_one_line(rendered):
    assert "<td>seg&nbsp;50&nbsp;%, depth&nbsp;50&nbsp;%</td>" in text_of(rendered, "index")


@pytest.mark.parametrize("name", PAGES)
def test_numbers_of_things_are_whole_and_one_is_singular(rendered, name):
    text = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", text_of(rendered, name), flags=re.S)
    assert not re.findall(r"n = \d+\.0|(?<![\d.,])1 (?:rows|frames|clips|prompts|videos|samples|claims|steps)\b", text)


def test_a_cell_says_that_its_p_is_corrected_and_which_row_is_the_reference(rendered):
    body = text_of(rendered, "tables").split('id="table1"')[1].split("<tbody>")[1].split("</tbody>")[0]
    base, ours = body.split("</tr>")[:2]
    assert (
        "[+0.400, +2.400], p&nbsp;0.126 (Holm)" in ours
        and "The interval is of this difference alone, not corrected" in ours
    )
    assert "the reference" in base and "the reference" not in ours and "verdicts on these weights" in ours


def test_a_site_without_goals_and_without_several_tasks(rendered, tmp_path):
    """The overview then shows the first run of each task, and there is no base."""
    results = rendered[0].parent
    job = small_job(runs={"multi": {"tasks": {"depth": 1.0}}}, report={"goals": []})
    figures = render(Inputs(job, results, [], summary_paths(job, results), tmp_path), tmp_path)
    data = Elements((tmp_path / "index.html").read_text()).data
    assert [(item["run"], item["task"], item["prompt"]) for item in data["strip"]] == [("multi", "depth", 0)]
    assert Elements((tmp_path / "samples.html").read_text()).data["base"] is None
    assert "names no goals" in (tmp_path / "goals.html").read_text()
    assert not [key for key in figures if key.startswith(("labels.", "generated."))]


@pytest.mark.parametrize("width", [1280, 390])
def test_the_site_opens_from_disk_in_a_browser(rendered, tmp_path, width):
    shown, shot = open_in_browser(rendered[0] / "index.html", tmp_path, width)
    assert "UDPDiff" in shown and shot.stat().st_size > 10_000
    assert 'aria-label="Switch between light and dark"' in shown, "the page's own script has run"
