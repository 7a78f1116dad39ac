"""Two result folders: what is paired by clip, what is not, which verdict an interval gives, what the command prints."""

from __future__ import annotations

import json

import numpy as np
import pytest
from page_elements import Elements

from udpdiff import command
from udpdiff.report.compare import as_text, compared
from udpdiff.storage.sealed import read_record, write_record


def figure(values, clips="videos", low=None, high=None, value=None) -> dict:
    known = [each for each in values if each is not None]
    return {"value": np.mean(known) if value is None else value, "low": low, "high": high, "n": len(known),
            "per_video": values, "clips": clips, "extractor": "x"}  # fmt: skip


def write(folder, metrics: dict, ids: list[str], config: dict | None = None) -> None:
    document = {"run": "multi", "task": "seg", "seed": 0, "n": len(ids), "metrics": metrics, "clips": {"videos": ids}}
    path = folder / "results/metrics/multi/seg/quality.json"
    path.parent.mkdir(parents=True)
    write_record(path, document)
    if config:
        data = folder / "results/report/data"
        data.mkdir(parents=True)
        (data / "provenance.json").write_text(json.dumps({"config": config}))


@pytest.fixture
def folders(tmp_path):
    rng = np.random.default_rng(0)
    base = rng.uniform(0.2, 0.9, 12)
    ids = [f"clip {index}" for index in range(12)]
    write(
        tmp_path / "a",
        {
            "subject_consistency": figure(list(base)),
            "fvd": figure([], value=10.0, low=8.0, high=12.0),
            "entity_tube_iou": figure([*base[:11], None]),
            "own_of_a": figure(list(base)),
        },
        ids,
        {"seed": 7, "clips": {"train": 3}},
    )
    write(
        tmp_path / "b",
        {
            # In another order, each clip better by 0.02 or so, which unpaired means could never tell.
            "subject_consistency": figure(list((base + 0.02 + rng.normal(0, 0.002, 12))[::-1])),
            "fvd": figure([], value=13.0, low=12.0, high=14.0),
            "entity_tube_iou": figure(list(base[::-1])),
        },
        ids[::-1],
        {"seed": 7, "clips": {"train": 4}},
    )
    (tmp_path / "b/results/metrics/codec.json").parent.mkdir(exist_ok=True)
    write_record(tmp_path / "b/results/metrics/codec.json", {"metrics": {}})
    return tmp_path / "a", tmp_path / "b"


def test_clips_are_paired_by_their_ids(folders):
    rows = {row.key: row for row in compared(*folders).figures}
    assert list(rows) == ["subject_consistency", "fvd", "entity_tube_iou"]
    row = rows["subject_consistency"]
    assert row.pairs == 12 and row.difference == pytest.approx(2.0, abs=0.2), "printed times 100"
    assert 1.5 < row.low < row.difference < row.high < 2.5 and row.verdict == "B is better"
    same = rows["entity_tube_iou"]
    assert (same.pairs, same.difference, same.low, same.high) == (11, 0, 0, 0)
    assert same.verdict == "no difference shown"


def test_figures_of_a_whole_set_have_the_interval_of_independent_samples(folders):
    """Square and add: 13 - 10, below by sqrt(1 + 4), above by sqrt(1 + 4); lower is better."""
    row = next(row for row in compared(*folders).figures if row.key == "fvd")
    assert (row.a, row.b, row.difference, row.pairs) == (10.0, 13.0, 3.0, None)
    assert row.low == pytest.approx(3 - 5**0.5) and row.high == pytest.approx(3 + 5**0.5)
    assert row.verdict == "A is better"
    turned = next(row for row in compared(*folders[::-1]).figures if row.key == "fvd")
    assert turned.difference == -3.0 and turned.verdict == "B is better"


def test_without_clip_ids_nothing_is_paired(tmp_path):
    for name, values in (("a", [0.5, 0.6]), ("b", [0.6, 0.5])):
        write(tmp_path / name, {"subject_consistency": figure(values, clips=None)}, [])
    (row,) = compared(tmp_path / "a", tmp_path / "b").figures
    assert row.pairs is None and row.verdict == "no interval" and row.difference == 0


def test_labels_are_paired_labeller_by_labeller(tmp_path):
    for name, change in (("a", 0.0), ("b", -0.1)):
        clips = {f"clip {index}": {"entity_miou": 0.5 + index / 10 + change} for index in range(4)}
        metrics = {"entity_miou": figure([row["entity_miou"] for row in clips.values()], clips=None)}
        path = tmp_path / name / "metrics/labels.json"
        path.parent.mkdir(parents=True)
        variants = {"entities": {"grid8": {"metrics": metrics, "difference": {}, "clips": clips, "refused": {}}}}
        write_record(path, {"metrics": {}, "variants": variants})
    (row,) = compared(tmp_path / "a", tmp_path / "b").figures
    assert (row.measured, row.pairs, row.verdict) == ("labels, entities grid8", 4, "too few to tell"), (
        "of 4 pairs no test can tell"
    )
    assert row.high == pytest.approx(-0.1)


def test_the_page_and_the_table_for_a_terminal(folders, tmp_path, capsys):
    command.main(["compare", *map(str, folders), "--out", str(tmp_path / "out")])
    summary, *lines, gap, place = capsys.readouterr().out.splitlines()
    assert summary == "3 figures in both, of which 0 are equal:"
    assert (gap, place) == ("", str(tmp_path / "out/compare.html"))
    assert lines[0].split() == ["measured", "figure", "A", "B", "B", "-", "A", "95", "%", "interval", "paired"]
    assert len(lines) == 1 + 3 + 1 + 1 + 1 + 1
    assert lines[4:6] == ["only in A: multi, seg: own_of_a", "only in B: codec"]
    assert lines[6].startswith("What the figures of A and B rest on is not on record")
    assert lines[7] == "clips.train: 3 in A, 4 in B"
    data = json.loads((tmp_path / "out/data/compare.json").read_text())
    assert [row["key"] for row in data["figures"]] == ["subject_consistency", "fvd", "entity_tube_iou"]
    page = (tmp_path / "out/compare.html").read_text()
    for link in Elements(page).found:
        assert (tmp_path / "out" / link.partition("#")[0]).exists(), link
    assert "<strong>B is better</strong>" in page and "<code>clips.train</code>" in page


def test_what_is_not_on_record_is_said(folders, tmp_path):
    (folders[0] / "results/report/data/provenance.json").unlink()
    found = compared(*folders)
    assert found.settings is None and "not on record in A (report" in as_text(found)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty: got no measurements there, expected a result folder"):
        compared(folders[0], tmp_path / "empty")


def rewrite(folder, change) -> None:
    path = folder / "results/metrics/multi/seg/quality.json"
    document = {key: value for key, value in read_record(path).items() if key != "content_sha256"}
    change(document)
    write_record(path, document)


def record(**changes) -> dict:
    videos = {"frames": 9, "height": 64, "width": 64, "fps": 8.0, "codec": "lossless", "seed": 1234}
    made = {"commit": "c0ffee", "dirty": False, "package_sha256": "ef" * 32, "versions": {"torch": "9"}}
    made |= {"device": "a CPU", "measured": {}, "networks": {"subject": [{"name": "x", "sha256": "ab" * 32}]}}
    return made | {"videos": {"videos": [videos | changes]}}


def test_figures_of_other_networks_are_not_compared(folders):
    def by_another(document):
        document["metrics"]["subject_consistency"]["extractor"] = "another"

    rewrite(folders[1], by_another)
    row, distance, _ = compared(*folders).figures
    assert (row.verdict, row.why) == ("not comparable", "measured by x in A, by another in B")
    assert distance.verdict == "A is better" and "not comparable: multi, seg, " in as_text(compared(*folders))


def test_one_name_for_other_weights_is_found_by_their_digest(folders):
    rewrite(folders[0], lambda document: document.update(provenance=record()))
    other = record() | {"networks": {"subject": [{"name": "x", "sha256": "cd" * 32}]}}
    rewrite(folders[1], lambda document: document.update(provenance=other))
    found = compared(*folders)
    assert {row.verdict for row in found.figures} == {"not comparable"} and "abababababab and cdcd" in found.figures[
        0
    ].why
    assert [(each.key, each.first, each.second) for each in found.records] == [("network: subject", "x abababababab", "x cdcdcdcdcdcd")]  # fmt: skip


@pytest.mark.parametrize("name", ["n", "n_reference", "real"])
def test_distances_of_sets_are_compared_over_equal_sets_alone(folders, name):
    def change(to):
        def changed(document):
            document["clips"]["real"] = [str(to)] if name == "real" else ["one"]
            document["metrics"]["fvd"][name] = to

        return changed

    rewrite(folders[0], change(24))
    rewrite(folders[1], change(99))
    rows = {row.key: row.verdict for row in compared(*folders).figures}
    assert rows["fvd"] == "not comparable" and rows["subject_consistency"] == "B is better"


def test_records_and_settings_that_differ_are_told_with_what_they_mean(folders):
    rewrite(folders[0], lambda document: document.update(provenance=record()))
    rewrite(folders[1], lambda document: document.update(provenance=record(seed=5, height=128) | {"commit": "facade"}))
    data = folders[1] / "results/report/data/provenance.json"
    data.write_text(json.dumps({"config": {"seed": 8, "clips": {"train": 3}}}))
    found = compared(*folders)
    assert [each.key for each in found.records] == ["videos", "seed of the noise", "commit"]
    words = " ".join(found.cautions)
    for part in (
        "shares its prompt, not its noise",
        "Size, length",
        "made otherwise (seed)",
        "different versions of the code",
    ):
        assert part in words
    assert "measured on different devices" not in words
    rewrite(folders[1], lambda document: document.update(provenance={"commit": "as an earlier version wrote it"}))
    assert "What the figures of B rest on is not on record" in compared(*folders).cautions[0]
    same = compared(folders[0], folders[0])
    assert same.records == same.cautions == same.only_a == [] and same.settings == []


def test_values_that_are_the_same_to_the_last_digit_are_called_equal(folders):
    found = compared(folders[0], folders[0])
    rows = {row.key: row for row in found.figures}
    assert {row.verdict for row in rows.values()} == {"equal"} and rows["fvd"].low is None
    count = len(found.figures)
    assert as_text(found).startswith(f"{count} figures in both, of which {count} are equal.\n"), "and no line for each"
