"""The page about labels, with truth and without: figures of every variant, the worst clips, all clips."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from PIL import Image
from small_results import VARIANTS, Links, clip_ids, measure_labels, open_in_browser, small_settings, write_results

from udpdiff.report import failures, media
from udpdiff.report.contact_sheet import contact_sheet
from udpdiff.report.render import render


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Results with labels.json, and its content."""
    results = tmp_path_factory.mktemp("work") / "results"
    write_results(results)
    with pytest.MonkeyPatch.context() as patch:
        path = measure_labels(results, patch)
    return results, path, json.loads(path.read_text())


@pytest.fixture(scope="module", params=["scenes", "videos"])
def page(request, measured):
    """labels.html with truth and without."""
    results, labels, _ = measured
    folder = results.parent / request.param
    paths = [labels] if request.param == "scenes" else []
    benchmarks = results.parent / "benchmarks"
    render(small_settings(request.param), results, benchmarks, paths, folder / "index.html", folder / "media")
    return request.param, folder / "labels.html"


def test_judges_keep_their_names_and_variants_stand_beside_them(measured):
    _, _, found = measured
    for kind, (judge, other) in VARIANTS.items():
        variants = found["variants"][kind]
        assert list(variants) == [judge, other]
        assert variants[judge]["metrics"].items() <= found["metrics"].items()
        assert not variants[judge]["difference"]
        for name, row in variants[other]["difference"].items():
            both = [clip for clip in variants[other]["clips"] if clip in variants[judge]["clips"]]
            gaps = [variants[other]["clips"][clip][name] - variants[judge]["clips"][clip][name] for clip in both]
            assert row["value"] == pytest.approx(np.mean(gaps)) and row["n"] == len(both)


def test_refused_clips_are_counted_and_not_measured(measured):
    merged = measured[2]["variants"]["entities"]["merged"]
    assert merged["metrics"]["refused_share"]["value"] == pytest.approx(1 / 3)
    assert merged["metrics"]["entity_miou"]["n"] == 2
    assert merged["refused"] == {clip_ids("evaluation")[2]: "low coverage: <b>0.1</b>"}


def test_figures_see_what_was_done_to_the_labels(measured):
    figures = {
        variant: {name: metric["value"] for name, metric in found["metrics"].items()}
        for variants in measured[2]["variants"].values()
        for variant, found in variants.items()
    }
    assert figures["entityseg"]["entity_recall"] == 1 and figures["entityseg"]["id_switches"] == 0
    assert figures["merged"]["entity_recall"] < 1 and figures["merged"]["coverage"] == 1
    assert figures["depth_anything"]["depth_flicker"] < 0.002 and figures["pumping"]["depth_flicker"] > 0.02


def test_hostile_text_stays_text_and_nothing_is_fetched(page):
    _, path = page
    text, links = path.read_text(), Links()
    links.feed(text)
    assert not links.tags & {"script", "i", "b", "iframe", "object", "link"}
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
    settings = small_settings("videos")
    settings["report"]["contact_sheet"] = 4
    rows = contact_sheet(settings, measured[0], {}, tmp_path / "media")
    assert [row["split"] for row in rows] == ["evaluation"] * 3 + ["train"]
    assert rows[0]["views"] == ["clip", *(f"{kind} {name}" for kind, names in VARIANTS.items() for name in names)]
    picture = np.asarray(Image.open(tmp_path / rows[2]["picture"]))
    assert picture.shape == (3 * 192 + 2 * 4, 5 * 192 + 4 * 4, 3), "five views of 32 pixels, enlarged, in three frames"
    column = 192 + 4
    brightness = [picture[:, index * column :][:, :192].mean() for index in range(5)]
    assert brightness[2] < 10 < min(brightness[:2] + brightness[3:]), "refused labels are black"
    note = {note["view"]: note["refused"] for note in rows[2]["notes"]}
    assert note["entities merged"] == "low coverage: <b>0.1</b>" and note["entities entityseg"] is None


def test_the_worst_clips_are_chosen():
    clips = {f"clip{index}": {"entity_miou": index / 10, "id_switches": 0.0} for index in range(6)}
    assert failures.worst_clips("entities", clips) == [(f"clip{index}", "entity_miou") for index in range(3)]
    clips["clip5"]["id_switches"] = 2.0
    assert failures.worst_clips("entities", clips)[-1] == ("clip5", "id_switches")
    clips["clip0"]["id_switches"] = 3.0
    assert failures.worst_clips("entities", clips)[-1] == ("clip5", "id_switches"), "no clip is shown twice"


def test_error_pictures_by_hand():
    truth = np.array([[[1, 1, 2, 2]]], np.uint16)
    label = np.array([[[5, 0, 5, 7]]], np.uint16)
    video = np.full((1, 1, 4, 3), 100, np.uint8)
    right, missed, wrong, unpaired = failures.entity_errors(video, truth, label, {1: 5})[0, 0].tolist()
    assert right == [60, 60, 60] and missed == [255, 200, 40] and wrong == unpaired == [214, 39, 40]
    z = np.full((1, 1, 3), 4.0)
    none, full, beyond = failures.depth_errors(z * [1, 1.25, 2], z)[0, 0].tolist()
    assert max(none) < 5 and full == beyond and full[0] > 240


def test_pictures_of_large_clips_are_brought_down():
    large = np.full((480, 720, 3), 200, np.uint8)
    assert media.table([[large, large], [large, large]]).shape == (2 * 128 + 4, 2 * 192 + 4, 3)


@pytest.mark.parametrize("width", [1280, 390])
def test_page_opens_from_disk_in_a_browser(page, tmp_path, width):
    shown, shot = open_in_browser(page[1], tmp_path, width)
    assert "Label quality" in shown and shot.stat().st_size > 10_000
