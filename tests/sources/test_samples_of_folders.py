"""Of more files than are asked for, a random sample serves; rejected ones are replaced, and nothing goes without a word."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_source_names import CLIPS

from udpdiff import jobs
from udpdiff.config.data import ClipSize, Filters
from udpdiff.sources.clip_lists import RESERVE_SHARE, video_names
from udpdiff.sources.cutting import cut_shard
from udpdiff.storage.shards import ShardReader
from udpdiff.video_io import write_mp4

NAMES = [f"{letter}{number:04d}.mp4" for letter in "abcd" for number in range(250)]
SOME = CLIPS.model_copy(update={"train": 144, "evaluation": 40, "shard_clips": 50})
LOOSE = Filters(
    min_sharpness=0, max_clipped_share=1, max_near_black_share=1, max_letterbox_share=1, min_motion=0, max_cut_score=1
)


def lists(names=NAMES, seed=7, clips=SOME, captioned=None):
    return video_names({name: name for name in names}, names if captioned is None else captioned, seed, clips)


def flat(shards) -> list[str]:
    return [name for shard in shards for name in shard]


def test_a_sample_of_all_files_serves_not_the_first_ones():
    found = lists()
    for split, count in {"train": 144, "evaluation": 40}.items():
        chosen = flat(found.shards[split])
        assert len(set(chosen)) == count and chosen == sorted(chosen)
        letters = [sum(name[0] == letter for name in chosen) for letter in "abcd"]
        assert min(letters) >= count / 4 / 2, letters
    reserved = [name for split in found.reserves.values() for name in flat(split)]
    used = flat(found.shards["train"]) + flat(found.shards["evaluation"]) + reserved
    assert len(set(used)) == len(used) == len(NAMES) - found.unused
    assert len(flat(found.reserves["train"])) == RESERVE_SHARE * 144


def test_the_sample_follows_the_seed_and_no_order():
    assert lists(reversed(NAMES)) == lists() != lists(seed=8)
    overlap = set(flat(lists().shards["train"])) & set(flat(lists(seed=8).shards["train"]))
    assert len(overlap) < 80


def test_a_new_file_moves_at_most_one_clip_out():
    before, after = (set(flat(lists(names).shards["train"])) for names in (NAMES, [*NAMES, "new.mp4"]))
    assert len(before - after) <= 2


def test_every_file_is_as_likely():
    counts = dict.fromkeys(NAMES, 0)
    for seed in range(25):
        for name in flat(lists(seed=seed).shards["train"]):
            counts[name] += 1
    by_letter = [sum(count for name, count in counts.items() if name[0] == letter) for letter in "abcd"]
    assert max(by_letter) / min(by_letter) < 1.2


def test_no_more_files_than_are_asked_for_serve_all_in_order():
    names = NAMES[::10]
    found = lists(names, clips=SOME.model_copy(update={"evaluation_share": 0.1}))
    assert flat(found.shards["train"]) + flat(found.shards["evaluation"]) != names
    assert sorted(flat(found.shards["train"]) + flat(found.shards["evaluation"])) == names
    assert found.unused == 0 and not any(flat(split) for split in found.reserves.values())


def test_files_with_a_caption_come_first():
    captioned = set(NAMES[100:400])
    found = lists(captioned=captioned)
    assert set(flat(found.shards["train"])) | set(flat(found.shards["evaluation"])) <= captioned


@pytest.fixture
def folder(tmp_path) -> Path:
    for name in "abcdef":
        colours = np.random.default_rng(ord(name)).integers(0, 256, (9, 8, 8, 3), np.uint8)
        write_mp4(tmp_path / f"videos/{name}.mp4", colours.repeat(8, axis=1).repeat(8, axis=2), 8)
    for name in "bd":
        (tmp_path / f"videos/{name}.mp4").write_bytes(b"no video")
    return tmp_path


def cut(folder: Path, clip_ids: str, reserve: str, **changes) -> ShardReader:
    job = jobs.CutVideos(
        captioned=False,
        clip_ids=tuple(f"{name}.mp4" for name in clip_ids),
        reserve=tuple(f"{name}.mp4" for name in reserve),
        content="",
        size=ClipSize(height=64, width=64, num_frames=9, fps=8),
        filters=LOOSE,
        **changes,
    )
    cut_shard(job, folder / "videos", None, folder / "0.h5")
    return ShardReader(folder / "0.h5")


def test_a_rejected_file_is_replaced_from_the_reserve_and_no_more_are_cut(folder):
    with cut(folder, "abc", "def") as shard:
        assert shard.clip_ids == ["a.mp4", "c.mp4", "e.mp4"]
        assert [entry["clip_id"] for entry in shard.rejected] == ["b.mp4", "d.mp4"]


def test_too_few_files_are_told(folder, capsys):
    with cut(folder, "abc", "d") as shard:
        assert shard.clip_ids == ["a.mp4", "c.mp4"]
    assert "Only 2 of 3 clips: there are no more files to try. Rejected: unreadable 2." in capsys.readouterr().err


def test_sources_are_stored_as_they_are_told(folder):
    with cut(folder, "ac", "", sources={"a.mp4": "one film"}) as shard:
        assert {name: data["source_id"] for name, data in shard.items(["source_id"])} == {
            "a.mp4": "one film",
            "c.mp4": "c",
        }
