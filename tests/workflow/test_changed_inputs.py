"""The content of every input that decides a result counts, its times and places do not; it is read once."""

from __future__ import annotations

import copy
import os
import time
from pathlib import Path

import pytest
from every_job import DEFAULT, workflow_of
from test_source_changes import CAPTIONS, changed_shards, cut_jobs, shard_of, write_captions

from udpdiff import content_digests, preflight
from udpdiff.checkpoints import places
from udpdiff.content_digests import UNREADABLE, folder_digest, remember_in
from udpdiff.workflow import data_jobs

MIDDLE = 3 << 20


@pytest.fixture(autouse=True)
def remembered(tmp_path):
    remember_in(tmp_path / "memory/contents.jsonl")
    yield tmp_path / "memory/contents.jsonl"
    remember_in(None)


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "videos").mkdir()
    for index, name in enumerate(CAPTIONS):
        (tmp_path / "videos" / name).write_bytes(bytes([index]) * (MIDDLE if index == 3 else 100 + index))
    write_captions(tmp_path, CAPTIONS)
    time.sleep(0.15)  # younger files are read again
    return tmp_path


def replace(path: Path, where: int = 0, restore_times: bool = False) -> None:
    """Change one byte; the size stays."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[where] ^= 255
    path.write_bytes(data)
    if restore_times:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


@pytest.mark.parametrize("restore_times", [False, True])
def test_a_video_that_is_replaced_by_one_of_its_size_is_cut_again(folder, restore_times):
    before = cut_jobs(folder)
    replace(folder / "videos/video 5.mp4", 3, restore_times)
    assert changed_shards(before, cut_jobs(folder)) == {shard_of(before, "video 5.mp4")}


def test_a_byte_in_the_middle_of_a_large_video_counts(folder):
    before = cut_jobs(folder)
    replace(folder / "videos/video 3.mp4", MIDDLE // 2)
    assert changed_shards(before, cut_jobs(folder)) == {shard_of(before, "video 3.mp4")}


def test_times_and_places_of_files_are_nothing(folder):
    before = cut_jobs(folder)
    for path in (folder / "videos").iterdir():
        path.touch()
    (folder / "videos").rename(folder / "elsewhere")
    (folder / "elsewhere").rename(folder / "videos")
    assert not changed_shards(before, cut_jobs(folder))


def test_a_source_that_is_named_makes_its_shard_again(folder):
    sources = {name: str(index) for index, name in enumerate(CAPTIONS)}

    def write(sources: dict[str, str]) -> None:
        lines = [f"{name},{CAPTIONS[name]},{source}" for name, source in sources.items()]
        (folder / "captions.csv").write_text("\n".join(["clip,caption,source", *lines]))

    write(sources)
    before = cut_jobs(folder)
    name = before["train", 1][0][0]
    write(sources | {name: "another film"})
    after = cut_jobs(folder)
    assert {place for place in before if before[place] != after[place] and name in after[place][0]}


def test_nothing_is_read_twice(folder, remembered, monkeypatch):
    before = cut_jobs(folder)
    remember_in(remembered)  # as another process does

    def fail(path):
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr(content_digests, "file_sha256", fail)
    assert not changed_shards(before, cut_jobs(folder))


def test_lines_that_were_cut_or_mixed_up_are_read_again(folder, remembered):
    before = cut_jobs(folder)
    text = remembered.read_text()
    remembered.write_text(text[: len(text) // 2] + '["/a", 1]\n[1, 2, 3, 4, 5]\n\0\0' + text[-40:])
    remember_in(remembered)
    assert not changed_shards(before, cut_jobs(folder))


def test_a_memory_that_cannot_be_written_costs_time_alone(folder, capsys):
    remember_in(folder / "captions.csv/contents.jsonl")
    assert not changed_shards(cut_jobs(folder), cut_jobs(folder)) and "Cannot note" in capsys.readouterr().err


def test_what_is_no_file_is_planned_and_never_waited_for(folder):
    videos = folder / "videos"
    for name in ("video 1.mp4", "video 2.mp4", "video 4.mp4"):
        (videos / name).unlink()
    (videos / "video 1.mp4").symlink_to(folder / "nothing")
    os.mkfifo(videos / "video 2.mp4")
    (videos / "video 4.mp4").write_bytes(b"")
    assert content_digests.content_digests([videos / "video 1.mp4", videos / "video 2.mp4"]) == [UNREADABLE] * 2
    before = cut_jobs(folder)
    assert sorted(name for clips, _ in before.values() for name in clips) == sorted(CAPTIONS)
    (folder / "nothing").write_bytes(b"now it is there")
    assert changed_shards(before, cut_jobs(folder)) == {shard_of(before, "video 1.mp4")}


def panda_job(table: Path, **panda) -> str:
    raw = copy.deepcopy(DEFAULT)
    raw["source"] |= {"kind": "panda70m", "path": str(table)}
    raw["panda70m"] |= panda
    flow = workflow_of(raw)
    return data_jobs.choose_clips(flow).dump() + data_jobs.download_clips(flow, "train", 0).dump()


def test_a_table_that_is_edited_in_its_middle_chooses_anew_and_cookies_do_not(tmp_path):
    table = tmp_path / "table.csv"
    table.write_bytes(b"x" * MIDDLE)
    before = panda_job(table)
    replace(table, MIDDLE // 2)
    after = panda_job(table)
    assert after != before
    (tmp_path / "cookies.txt").write_text("a")
    assert panda_job(table, cookies=str(tmp_path / "cookies.txt")) == after
    (tmp_path / "cookies.txt").write_text("b")
    assert panda_job(table.rename(tmp_path / "moved.csv"), cookies=str(tmp_path / "cookies.txt")) == after


def digest_of_name(folder: Path) -> str:
    return places.name_of(str(folder)).split("#")[1]


def test_a_checkpoint_whose_weights_are_replaced_has_another_name(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(MIDDLE))
    before = digest_of_name(folder)
    assert digest_of_name(folder.rename(tmp_path / "moved")) == before
    replace(tmp_path / "moved/model.safetensors", MIDDLE // 2, restore_times=True)
    assert digest_of_name(tmp_path / "moved") != before
    digest = folder_digest(tmp_path / "moved")
    (tmp_path / "moved/config.json").rename(tmp_path / "moved/other.json")
    assert folder_digest(tmp_path / "moved") != digest


def test_the_folder_is_told_of_before_any_job(folder):
    videos = folder / "videos"
    (videos / "notes.txt").touch()
    (videos / ".hidden.mp4").touch()
    (videos / "folder.mp4").mkdir()
    (videos / "mute.mp4").touch()
    with open(folder / "captions.csv", "a") as file:
        file.write("gone.mp4,A film that is not there.\n")
    raw = copy.deepcopy(DEFAULT)
    raw["source"] |= {"kind": "videos", "path": str(videos), "captions": str(folder / "captions.csv")}
    raw["clips"] |= {"train": 3, "evaluation": 2}
    told = " ".join(preflight.check(raw).notices())
    assert "1 folders (folder.mp4); 1 hidden files (.hidden.mp4); 1 files of other endings (notes.txt)" in told
    assert "1 row of the csv names no file of the folder, or could name several: 'gone.mp4' (line 10)" in told
    assert "1 of 9 videos have no caption in the csv and are left out: mute.mp4" in told
    assert "videos are not used" in told and "column `source`" in told
    assert not preflight.check(copy.deepcopy(DEFAULT)).notices()
