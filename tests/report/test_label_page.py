"""The page about labels, with truth and without: figures of every variant, the worst clips, all clips."""

from __future__ import annotations

import copy
import json
import re
import shutil

import numpy as np
import pytest
from page_elements import Elements
from PIL import Image
from small_results import (
    HOSTILE,
    VARIANTS,
    clip_ids,
    measure_labels,
    open_in_browser,
    small_inputs,
    small_job,
    summary_paths,
    write_results,
)

from udpdiff import jobs
from udpdiff.metrics.caption_quality import compare_captions
from udpdiff.metrics.evaluate import evaluate_labels
from udpdiff.metrics.registry import CAPTIONS
from udpdiff.report import media, worst_labels
from udpdiff.report.contact_sheet import contact_sheet
from udpdiff.report.gallery import labelled_clips
from udpdiff.report.inputs import Inputs
from udpdiff.report.label_page import label_page
from udpdiff.report.render import render
from udpdiff.sources.scenes import COLORS, SHAPES
from udpdiff.storage.sealed import read_record, write_record
from udpdiff.storage.summaries import read_summary


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Results with labels.json, and its content."""
    results = tmp_path_factory.mktemp("work") / "results"
    write_results(results)
    path = measure_labels(results, small_job())
    return results, path, json.loads(path.read_text())


@pytest.fixture(scope="module", params=["scenes", "videos"])
def page(request, measured):
    """The data set's page with truth and without."""
    results, labels, _ = measured
    folder = results.parent / request.param
    paths, videos = ([labels], None) if request.param == "scenes" else ([], results.parent / "videos")
    job = small_job(request.param, videos)
    summaries = summary_paths(job, results)
    render(Inputs(job, results, paths, summaries, results.parent / "benchmarks"), folder)
    return request.param, folder / "data_set.html"


def test_hostile_text_stays_text_and_nothing_is_fetched(page):
    _, path = page
    text = path.read_text()
    links = Elements(text)
    assert not links.tags & {"i", "b", "iframe", "object", "link"} and not links.foreign
    assert "&lt;script&gt;" in text and "low coverage: &lt;b&gt;0.1&lt;/b&gt;" in text
    assert not [link for link in links.found if re.match(r"(?i)\w+:|//", link)]
    for link in links.found:
        file, _, target = link.partition("#")
        assert (path.parent / (file or path.name)).is_file(), link
        assert not target or f'id="{target}"' in (path.parent / (file or path.name)).read_text(), link


def test_every_variant_has_its_row_and_every_clip_its_picture(page):
    kind, path = page
    text = path.read_text()
    for variant in (name for names in VARIANTS.values() for name in names):
        assert f"<td><code>{variant}</code></td>" in text
    shown = re.findall(r'src="media/(labels-\d+\.jpg)"', text)
    assert len(shown) == 6 and text.count('loading="lazy"') >= 6, "three clips of each split"
    assert ("No truth exists" in text) == (kind == "videos")
    assert ("mean IoU" in text) == (kind == "scenes")


def test_contact_sheet_shows_every_view_and_stops_at_its_size(measured, tmp_path):
    job = small_job("videos", tmp_path / "videos", report={"contact_sheet": 4})
    rows = contact_sheet(small_inputs(job, measured[0]), {}, tmp_path / "media")
    assert [row["split"] for row in rows] == ["evaluation"] * 3 + ["train"]
    assert rows[0]["views"] == ["clip", *(f"{kind} {name}" for kind, names in VARIANTS.items() for name in names)]
    picture = np.asarray(Image.open(tmp_path / rows[2]["picture"]))
    assert picture.shape == (3 * 192 + 2 * 4, 5 * 192 + 4 * 4, 3), "five views of 32 pixels, enlarged, in three frames"
    column = 192 + 4
    brightness = [picture[:, index * column :][:, :192].mean() for index in range(5)]
    assert brightness[2] < 10 < min(brightness[:2] + brightness[3:]), "refused labels are black"
    note = {note["view"]: note["refused"] for note in rows[2]["notes"]}
    assert note["entities merged"] == "low coverage: <b>0.1</b>" and note["entities entityseg"] is None
    assert re.fullmatch(r"\d entities, coverage 1.00", rows[2]["notes"][0]["text"])


def test_without_truth_the_labellers_own_figures_are_shown(measured, tmp_path):
    job = small_job("videos", tmp_path / "videos")
    sections = {
        section["kind"]: section for section in label_page(small_inputs(job, measured[0]), tmp_path)["sections"]
    }
    judge, merged = sections["entities"]["rows"]
    assert (judge["labelled"], judge["refused"]) == (6, 0), "the judge's of both splits"
    assert (merged["labelled"], merged["refused"]) == (4, 2)
    counted = [
        row["entities"]
        for split in ("train", "evaluation")
        for row in read_summary(measured[0] / f"entities/entityseg/{split}/0.json").clips.values()
    ]
    assert judge["values"]["entities"]["value"] == pytest.approx(np.mean(counted))
    assert merged["values"]["coverage"]["value"] == 1 and not sections["depth"]["figures"]


def test_captions_have_their_rows_and_the_worst_are_shown_with_their_mistakes(measured, tmp_path):
    results, found = measured[0], read_record(measured[1])
    truths, tables = (
        [results / f"{folder}/evaluation/0.{kind}"] for folder, kind in (("truth", "h5"), ("captions", "parquet"))
    )
    rows = compare_captions(truths, tables, SHAPES, list(COLORS))
    measure = jobs.LabelQuality(seed=0, bootstrap_samples=20, judges={CAPTIONS: "captioner"}, tasks={})
    found["variants"] |= evaluate_labels(measure, {CAPTIONS: rows})["variants"]
    other = tmp_path / "labels.json"
    write_record(other, found)
    captions = small_job().config.labels.captions.model_dump() | {"captioner": "mini:captioner"}
    job = small_job(labels={"captions": captions})
    section = label_page(small_inputs(job, results, [other]), tmp_path / "media")["sections"][-1]
    assert (section["kind"], [row["variant"] for row in section["rows"]]) == (
        CAPTIONS,
        ["captioner", "source", "exchanged"],
    )
    assert section["rows"][0]["values"]["caption_attributes"]["value"] == 0, "the hostile text names no solid"
    [worst] = section["worst"]
    for item in worst["pictures"]:
        assert (tmp_path / item["picture"]).is_file() and item["reasons"][0] == f"said: {HOSTILE}"
        assert item["reasons"][1].startswith("true: ") and any(": missed" in line for line in item["reasons"])
    render(Inputs(job, results, [other], summary_paths(job, results), results.parent / "benchmarks"), tmp_path)
    text = (tmp_path / "data_set.html").read_text()
    assert '<section id="captions">' in text and "<td><code>exchanged</code></td>" in text
    assert HOSTILE not in text and "mini:captioner</code>, which saw the clip" in text


def test_columns_are_those_that_were_measured(measured, tmp_path):
    results, found = measured[0], read_record(measured[1])
    for variants in found["variants"]["entities"].values():
        del variants["metrics"]["entity_j_and_f"]
    other = tmp_path / "labels.json"
    write_record(other, found)
    section, depth = label_page(small_inputs(small_job(), results, [other]), tmp_path / "media")["sections"]
    keys = [figure.key for figure in section["figures"]]
    assert "entity_miou" in keys and "refused_share" in keys and "entity_j_and_f" not in keys
    assert "depth_true_change" in [figure.key for figure in depth["figures"]]
    compared = [figure.key for figure in depth["compared"]]
    assert "depth_flicker" in compared and "depth_true_change" not in compared, "which no labeller changes"
    assert section["judge"] == "entityseg" and [row["variant"] for row in section["differences"]] == ["merged"]


def test_differences_and_clips_are_told_of_their_own_labeller(measured, tmp_path):
    """A difference is apart from 0 where its whole interval lies on one side of it."""
    results, found = measured[0], copy.deepcopy(measured[2])
    kinds = found["variants"]
    ends = {"entity_miou": (-0.3, -0.1), "entity_precision": (-0.1, 0.1), "entity_recall": (0.1, 0.3)}
    difference = kinds["entities"]["merged"]["difference"]
    for name, (low, high) in ends.items():
        difference[name] |= {"value": (low + high) / 2, "low": low, "high": high}
    other = tmp_path / "labels.json"
    write_record(other, found)
    shown = label_page(small_inputs(small_job(), results, [other]), tmp_path / "media")
    (row,) = shown["sections"][0]["differences"]
    assert {name: row["values"][name]["apart"] for name in ends} == {
        "entity_miou": True,
        "entity_precision": False,
        "entity_recall": True,
    }
    for item in shown["sheet"]:
        notes = {note["view"]: note["text"] for note in item["notes"]}
        for name in VARIANTS["entities"]:
            figures = kinds["entities"][name]["clips"].get(item["clip_id"])
            told = f"mean IoU {figures['entity_miou']:.3f}" if figures else None
            assert told is None or told in notes[f"entities {name}"], name
    assert len(shown["sheet"]) == 6


def test_a_difference_is_printed_with_its_sign(page, measured):
    kind, path = page
    worse = measured[2]["variants"]["entities"]["merged"]["difference"]["entity_miou"]["value"]
    assert worse < 0 and (f"−{-worse:.3f}" in path.read_text()) == (kind == "scenes")
    more = measured[2]["variants"]["depth"]["pumping"]["difference"]["depth_flicker"]["value"]
    assert more > 0 and (f"+{100 * more:.2f}" in path.read_text()) == (kind == "scenes")


def test_the_contact_sheet_goes_down_in_time_and_across_the_views(measured, tmp_path, monkeypatch):
    tables = []
    monkeypatch.setattr(media, "table", lambda rows: tables.append(rows) or np.zeros((8, 8, 3), np.uint8))
    inputs = small_inputs(small_job(report={"examples": 1}), measured[0])
    contact_sheet(inputs, {}, tmp_path / "media")
    clip = next(labelled_clips(inputs, "evaluation", 0, inputs.labellers()))
    assert [len(row) for row in tables[0]] == [5, 5, 5]
    for row, frame in zip(tables[0], (0, 2, 4), strict=True):
        for picture, column in zip(row, [clip.video, *clip.views.values()], strict=True):
            np.testing.assert_array_equal(picture, column[frame])


def test_a_clip_is_found_in_whichever_shard_it_is(measured, tmp_path):
    """Truth and labels of the worst clip lie in the last of several shards."""
    results = tmp_path / "results"
    shutil.copytree(measured[0], results)
    job = small_job(clips={"shard_clips": 1})
    for folder in ("clips", "truth", "entities/entityseg"):
        for number, name in ((0, "train"), (1, "train"), (2, "evaluation")):
            shutil.copy(measured[0] / f"{folder}/{name}/0.h5", results / f"{folder}/evaluation/{number}.h5")
    inputs = Inputs(job, results, [], [])
    (picture,) = worst_labels.pictures(
        inputs, "entities", "entityseg", [(clip_ids("evaluation")[1], "entity_miou")], tmp_path / "media", "worst"
    )
    assert (tmp_path / picture["picture"]).is_file() and picture["frames"] == [1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="measure the labels again"):
        worst_labels.pictures(inputs, "entities", "entityseg", [("gone", "entity_miou")], tmp_path, "worst")


def test_the_worst_clips_are_chosen():
    clips = {f"clip{index}": {"entity_miou": index / 10, "id_switches": 0.0} for index in range(6)}
    assert worst_labels.worst_clips("entities", clips) == [(f"clip{index}", "entity_miou") for index in range(3)]
    clips["clip5"]["id_switches"] = 2.0
    assert worst_labels.worst_clips("entities", clips)[-1] == ("clip5", "id_switches")
    clips["clip0"]["id_switches"] = 3.0
    assert worst_labels.worst_clips("entities", clips)[-1] == ("clip5", "id_switches"), "no clip is shown twice"


def test_error_pictures_by_hand():
    truth = np.array([[[1, 1, 2, 2]]], np.uint16)
    label = np.array([[[5, 0, 5, 7]]], np.uint16)
    video = np.full((1, 1, 4, 3), 100, np.uint8)
    right, missed, wrong, unpaired = worst_labels.entity_errors(video, truth, label, {1: 5})[0, 0].tolist()
    assert right == [60, 60, 60] and missed == [255, 200, 40] and wrong == unpaired == [214, 39, 40]
    z = np.full((1, 1, 3), 4.0)
    none, full, beyond = worst_labels.depth_errors(z * [1, 1.25, 2], z)[0, 0].tolist()
    assert max(none) < 5 and full == beyond and full[0] > 240


def test_pictures_of_large_clips_are_brought_down():
    large = np.full((480, 720, 3), 200, np.uint8)
    assert media.table([[large, large], [large, large]]).shape == (2 * 128 + 4, 2 * 192 + 4, 3)


@pytest.mark.parametrize("width", [1280, 390])
def test_page_opens_from_disk_in_a_browser(page, tmp_path, width):
    shown, shot = open_in_browser(page[1], tmp_path, width)
    assert "Label quality" in shown and shot.stat().st_size > 10_000
