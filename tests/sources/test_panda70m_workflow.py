"""Panda-70M through the real workflow, from the table on; only the fetching of a time range is stood in for."""

from __future__ import annotations

import csv
import json
from collections import Counter

import pytest
from markupsafe import escape
from panda_stand_in import clip_name
from test_panda70m import FOLDER, record, write
from work_folder import Work, assert_harmless, files

from udpdiff.sources.panda70m_table import PandaVideo, read_table
from udpdiff.storage.captions import read_captions


def expected(name: str) -> dict:
    return json.loads((FOLDER / f"{name}.expected.json").read_text())


# Latent stream -> what it is encoded from.
LABELS_OF = {
    "video": "clips",
    "depth-spectral-depth_anything": "depth/depth_anything",
    "seg-pixelplanes-entityseg": "entities/entityseg",
}


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """The reference table as captions and latents."""
    if not FOLDER.is_dir():
        pytest.skip("no reference tables and local clips at ../shared")
    # Nearly all clips of the table are candidates: only a few of them have a file.
    panda = {"fetch": "plugin:panda_stand_in:fetch_local", "gates": {"clips_per_video": 100}, "reserve": 90}
    configuration = {
        "seed": 34,  # which meets every answer of the stand-in within a few clips
        "source": {"kind": "panda70m", "path": "table.csv"},
        "clips": {"train": 4, "evaluation": 2, "shard_clips": 8},
        "tasks": {"seg": {"colourings": 2}},
        "panda70m": panda | {"attempts": 2},
    }
    work = Work(tmp_path_factory.mktemp("reference"), configuration)
    (work.folder / "table.csv").write_bytes((FOLDER / "table.csv").read_bytes())
    work.targets = files("captions", *(f"latents/{stream}" for stream in LABELS_OF))
    work.build(work.targets)
    return work


def assert_caption(words: dict, whole: str) -> None:
    """The caption is the whole one, or its beginning where the base model does not read so much."""
    assert words["brief"] == whole or (words["brief_cut_tokens"] and whole.startswith(words["brief"]))


def test_lost_clips_are_replaced_and_listed(reference):
    clips = reference.shards("clips")
    record_of = {clip["clip"].removesuffix(".mp4"): clip for clip in expected("table")["local_clips"]}
    assert [len(shard) for shard in clips] == [4, 2]
    kept = [clip_id for shard in clips for clip_id in shard.clip_ids]
    assert len(set(kept)) == 6 and set(kept) <= set(record_of), "only clips that have a file, none twice"
    train, evaluation = ({clip_id.split(".")[0] for clip_id in shard.clip_ids} for shard in clips)
    assert not train & evaluation
    captions = read_captions([reference.folder / path for path in files("captions")])
    assert set(captions) == set(kept)
    for name, words in captions.items():
        assert_caption(words, record_of[name]["caption"])
    listed = [entry["reason"] for shard in clips for entry in shard.rejected]
    for reason in ("dead link", "private video", "throttled: Sign in", ("unreadable", "broken", "no video")):
        assert any(words.startswith(reason) for words in listed), (reason, Counter(listed))
    gone = {entry["clip_id"] for shard in clips for entry in shard.rejected if entry["reason"].startswith("throttled")}
    asked = Counter(reference.calls())
    again = {name for name, clip in record_of.items() if asked[clip_name(clip["videoID"], clip["start_s"])] == 2}
    assert gone < again, "a throttled clip came when it was asked for again"


def test_every_clip_is_labelled_and_encoded_or_listed(reference):
    clips = reference.shards("clips")
    for stream, labels in LABELS_OF.items():
        shards = zip(clips, reference.shards(labels), reference.shards(f"latents/{stream}"), strict=True)
        for source, labelled, encoded in shards:
            listed = {entry["clip_id"] for entry in labelled.rejected}
            assert {*labelled.clip_ids, *listed} >= set(source.clip_ids)
            assert encoded.clip_ids == labelled.clip_ids and len(encoded) >= 1
            assert {entry["clip_id"] for entry in encoded.rejected} == listed


def test_a_second_run_has_nothing_to_do(reference):
    assert reference.left_to_do(reference.targets) == {}


HOSTILE_CAPTIONS = [
    "<script>alert(1)</script><img src=http://example.com/x.png onerror=alert(1)>",
    "\"quoted\" 'twice' `touch pwned` $(touch pwned); touch pwned & > pwned",
    "two\nlines\tand a tab",
    "--settings {} %s %(x)s {wildcards.shard} {{braces}}",
    '=HYPERLINK("http://example.com","x")',
    "</figcaption></main><iframe src=javascript:alert(1)>",
    "../../../pwned",
    "{{ settings }} {% raw %}",
]


def hostile_records() -> list[list[str]]:
    """Good records with hostile captions, some with ids that look like options, and records to refuse."""
    ids = [f"{'-' if number % 2 else 'G'}{number:010d}" for number in range(len(HOSTILE_CAPTIONS))]
    good = [record(name, 1, caption=repr([words])) for name, words in zip(ids, HOSTILE_CAPTIONS, strict=True)]
    outside = ["../../pwned", "/tmp/pwned_", "; touch pwned", "$(touch p)x", "A\nB23456789", "--exec pwned"]
    address = "https://www.youtube.com/watch?v=BBBBBBBBBBB"
    shell = [
        record("BBBBBBBBBBB", 1, url=f"{address}{tail}") for tail in ("; touch pwned", "`touch pwned`", "\n-o pwned")
    ]
    call = record("CCCCCCCCCCC", 1, caption="[open('pwned', 'w').name]")
    return [*good, *(record(name, 1) for name in outside), *shell, call]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """Hostile records, ours and where they are there the reference ones, as clips and captions; killed once on the way."""
    work = Work(tmp_path_factory.mktemp("hostile"), {})
    table = write(work.folder / "a 'hostile' table.csv", hostile_records())
    if FOLDER.is_dir():
        table.write_bytes(table.read_bytes() + (FOLDER / "hostile.csv").read_bytes().partition(b"\n")[2])
    work.rows = list(read_table(table))
    work.accepted = {row.video_id: row for row in work.rows if isinstance(row, PandaVideo)}
    gates = {"max_seconds": 86_400, "min_matching_score": -1.0, "desirable_only": False, "single_shot": False}
    gates |= {"clips_per_video": 1}
    work.configuration = {
        "source": {"kind": "panda70m", "path": table.name},
        "clips": {"train": len(work.accepted) - 3, "evaluation": 3, "shard_clips": 96},
        "panda70m": {"fetch": "plugin:panda_stand_in:fetch", "gates": gates, "reserve": 0},
    }
    work.targets = files("captions")
    work.killed = work.snakemake("--cores", "1", "--", *work.targets, PANDA_STAND_IN_KILL_AFTER="5")
    work.calls_before = work.calls()
    # What a person changes before starting again must not fetch anything again.
    (work.folder / "cookies.txt").write_text("# Netscape HTTP Cookie File\n")
    work.configuration["panda70m"] |= {"rate_limit": 100_000, "cookies": "cookies.txt"}
    work.build(work.targets)
    return work


def test_a_killed_download_goes_on_where_it_stopped(hostile):
    assert hostile.killed.returncode != 0 and len(hostile.calls_before) == 5
    assert max(Counter(hostile.calls()).values()) == 1, "no finished clip was fetched again"
    assert hostile.left_to_do(hostile.targets) == {}


def test_every_hostile_record_is_taken_or_listed(hostile):
    assert set(hostile.calls()) == set(hostile.accepted)
    captions = read_captions([hostile.folder / path for path in hostile.targets])
    for clip_id, words in captions.items():
        record_of = hostile.accepted[clip_id[:11]].clips[int(clip_id[12:])]
        assert_caption(words, " ".join(record_of.caption.split()))
    assert {clip_id[:11] for clip_id in captions} == set(hostile.accepted)
    with open(hostile.folder / "results/panda70m/rejected_records.csv", newline="") as file:
        listed = {int(row["record"]): row["reason"] for row in csv.DictReader(file)}
    assert listed == {row.number: row.reason for row in hostile.rows if not isinstance(row, PandaVideo)}
    assert all(reason[0].isalnum() for reason in listed.values()), "no cell is a formula"
    ours, good = len(hostile_records()), len(HOSTILE_CAPTIONS)
    assert [number for number in range(1, ours + 1) if number not in listed] == list(range(1, good + 1))
    for wanted in expected("hostile")["records"] if FOLDER.is_dir() else []:
        assert (wanted["record"] + ours in listed) == (wanted["expect"] == "reject"), wanted


def test_nothing_hostile_reached_a_shell_or_a_path_outside(hostile):
    hostile.assert_nothing_ran()
    names = {path.name for path in (hostile.folder / "results").rglob("*") if path.is_file()}
    made = {"0.h5", "0.json", "0.parquet", "chosen.parquet", "rejected_records.csv"}
    assert names == made | {"checked.json", "invocations.jsonl"}


def test_the_page_shows_hostile_captions_as_text(hostile):
    page = hostile.page()
    assert_harmless(page)
    captions = read_captions([hostile.folder / path for path in hostile.targets])
    shown = [words["brief"] for words in captions.values()]
    assert len(shown) >= 5 and all(str(escape(words)) in page for words in shown)
    assert "only ever seen rendered scenes" in page
    shown = json.loads((hostile.folder / "report/data/data_set.json").read_text())["funnel"]["stages"]
    left = {stage["name"]: sum(stage["left"].values()) for stage in shown}
    clips = sum(len(video.clips) for video in hostile.accepted.values())
    assert (left["clips in the table"], left["asked for online"]) == (clips, len(hostile.accepted))
    assert f"Of {len(hostile.accepted)} source videos; records of the table" in shown[0]["note"]
