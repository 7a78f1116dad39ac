"""A folder of videos that changes: which clips are cut again, and which are not."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from every_job import DEFAULT

from udpdiff import preflight
from udpdiff.workflow import data_jobs

CAPTIONS = {f"video {index}.mp4": f"A ball of size {index}." for index in range(8)}


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "videos").mkdir()
    for index, name in enumerate(CAPTIONS):
        (tmp_path / "videos" / name).write_bytes(bytes([index]) * (100 + index))
    write_captions(tmp_path, CAPTIONS)
    return tmp_path


def write_captions(folder: Path, captions: dict[str, str]) -> None:
    lines = [f'"{name}","{caption}"' for name, caption in captions.items()]
    (folder / "captions.csv").write_text("\n".join(["clip,caption", *lines, ""]))


def cut_jobs(folder: Path) -> dict[tuple[str, int], tuple[tuple[str, ...], str]]:
    """(split, shard) -> the files that a job cuts, and all that it is told."""
    raw = copy.deepcopy(DEFAULT)
    raw["source"] |= {"kind": "videos", "path": str(folder / "videos"), "captions": str(folder / "captions.csv")}
    raw["clips"] |= {"train": 6, "evaluation": 2, "shard_clips": 2}
    workflow = preflight.check(raw)
    made = {
        (split, shard): data_jobs.cut_videos(workflow, split, shard)
        for split in ("train", "evaluation")
        for shard in workflow.shard_numbers(split)
    }
    return {place: (job.clip_ids, job.dump()) for place, job in made.items()}


def changed_shards(before: dict, after: dict) -> set:
    assert {place: clips for place, (clips, _) in before.items()} == {
        place: clips for place, (clips, _) in after.items()
    }
    return {place for place in before if before[place] != after[place]}


def shard_of(jobs: dict, name: str) -> tuple[str, int]:
    (place,) = [place for place, (clips, _) in jobs.items() if name in clips]
    return place


def test_nothing_changes_by_itself(folder):
    assert not changed_shards(cut_jobs(folder), cut_jobs(folder))


@pytest.mark.parametrize("name", ["video 0.mp4", "video 5.mp4"])
def test_a_video_that_is_replaced_is_cut_again_with_its_shard_alone(folder, name):
    before = cut_jobs(folder)
    (folder / "videos" / name).write_bytes(b"another film")
    assert changed_shards(before, cut_jobs(folder)) == {shard_of(before, name)}


@pytest.mark.parametrize("name", ["video 1.mp4", "video 6.mp4"])
def test_a_caption_that_is_edited_makes_its_shard_again_alone(folder, name):
    before = cut_jobs(folder)
    write_captions(folder, CAPTIONS | {name: "A cube."})
    assert changed_shards(before, cut_jobs(folder)) == {shard_of(before, name)}


def test_captions_in_another_order_or_of_other_files_change_nothing(folder):
    before = cut_jobs(folder)
    write_captions(folder, dict(reversed(CAPTIONS.items())))
    assert not changed_shards(before, cut_jobs(folder))


def test_splits_share_no_video(folder):
    jobs = cut_jobs(folder)
    names = [name for clips, _ in jobs.values() for name in clips]
    assert sorted(names) == sorted(CAPTIONS) and jobs.keys() == {
        ("train", 0),
        ("train", 1),
        ("train", 2),
        ("evaluation", 0),
    }
