"""Video files of hostile names through the real workflow: cut or listed, never a command, a path or markup."""

from __future__ import annotations

import csv
import json
import os
import re

import pytest
from markupsafe import escape
from panda_stand_in import scene
from work_folder import Work, assert_harmless, files

from udpdiff.sources.videos import printable
from udpdiff.storage.captions import read_captions

NAMES = [
    "a name with spaces .mp4",
    'it\'s "quoted" `touch pwned`.mp4',
    "two\nlines.mp4",
    r"two\nlines.mp4",
    "-o pwned.mp4",
    "--settings.mp4",
    "$(touch pwned); touch pwned &.mp4",
    "<img src=http:example.com onerror=alert(1)>.mp4",
    "{shard} {{ settings }} %s.mp4",
    "up ...mp4",
    "día 日本 \u202e gnp.mp4",
]
BROKEN = "<b>broken & 'bad'.mp4"
NO_TEXT = os.fsdecode(b"caf\xe9.mp4")


@pytest.fixture(scope="module")
def cut(tmp_path_factory):
    """The folder of videos as clips and captions."""
    work = Work(tmp_path_factory.mktemp("names"), {})
    folder = work.folder / "my 'videos'\n<b>"
    folder.mkdir()
    for name in (*NAMES, NO_TEXT):
        (folder / name).write_bytes(scene())
    (folder / BROKEN).write_text("no video")
    with open(work.folder / "captions.csv", "w", newline="") as file:
        csv.writer(file).writerows([["clip", "caption"], *([name, f"Of {name}"] for name in (*NAMES, BROKEN))])
    work.configuration = {
        "source": {"kind": "videos", "path": folder.name, "captions": "captions.csv"},
        "clips": {"evaluation_share": 0.4},  # one of them is broken
    }
    work.targets = files("captions")
    work.build(work.targets)
    return work


def test_every_file_becomes_a_clip_or_is_listed(cut):
    captions = read_captions([cut.folder / path for path in cut.targets])
    assert {clip_id: words["brief"] for clip_id, words in captions.items()} == {
        printable(name): " ".join(f"Of {name}".split()) for name in NAMES
    }
    listed = {entry["clip_id"]: entry["reason"] for shard in cut.shards("clips") for entry in shard.rejected}
    assert set(listed) == {BROKEN, printable(NO_TEXT)}
    assert listed[BROKEN].startswith("unreadable") and listed[printable(NO_TEXT)] == "no caption"
    assert cut.left_to_do(cut.targets) == {}


def test_no_name_reached_a_shell_or_a_path_outside(cut):
    cut.assert_nothing_ran()


def test_the_page_shows_names_as_text(cut):
    page = cut.page()
    assert_harmless(page)
    for name in NAMES:
        assert str(escape(printable(name))) in page
    # Rejected clips stand in the data of the page's search.
    data = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.DOTALL)
    listed = str([json.loads(block) for block in data])
    for name in (BROKEN, NO_TEXT):
        assert repr(printable(name))[1:-1] in listed
