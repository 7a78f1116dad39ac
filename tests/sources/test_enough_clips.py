"""Splits that lost their clips are refused before anything is made of them, with the reasons and what to change."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import check_clips
from udpdiff.sources.enough_clips import LEAST
from udpdiff.sources.filters import BOUNDS
from udpdiff.storage.sealed import read_record
from udpdiff.storage.shards import ShardWriter
from udpdiff.storage.summaries import write_summary

SIZE = {"height": 64, "width": 64, "num_frames": 9, "fps": 8.0}
STILL = "too still: motion 0, at least 0.3 needed"


def shard(folder: Path, split: str, number: int, kept: int, reasons: list[str] = (), source: str = "videos") -> str:
    """A shard of clips with so many kept and one rejected for each reason; returns its summary."""
    path = folder / f"results/clips/{split}/{number}.h5"
    with ShardWriter(path, "clips", SIZE | {"source": source, "job": {}}) as clips:
        for index in range(kept):
            words = {"brief": "A.", "detailed": "", "source_id": f"film {number} {index}"}
            clips.add(f"{number}-{index}", {"video_mp4": b"-", **words, "source_sha256": "", "record_sha256": ""})
        for index, reason in enumerate(reasons):
            clips.reject(f"{number}-rejected-{index}", reason)
    write_summary(path, path.with_suffix(".json"))
    return str(path.with_suffix(".json"))


def check(monkeypatch, folder: Path, *summaries: str) -> dict:
    checked = folder / "results/clips/checked.json"
    monkeypatch.setattr("sys.argv", ["check_clips", "--summaries", *summaries, "--checked", str(checked)])
    check_clips.main()
    return read_record(checked)


def refused(monkeypatch, folder: Path, *summaries: str) -> str:
    with pytest.raises(ValueError, match="Too few clips") as error:
        check(monkeypatch, folder, *summaries)
    assert not (folder / "results/clips/checked.json").exists()
    return str(error.value)


def test_the_least_that_serves_is_counted_over_all_shards_even_empty_ones(tmp_path, monkeypatch, capsys):
    parts = [("train", 0, 0, [STILL]), ("train", 1, LEAST["train"]), ("evaluation", 0, LEAST["evaluation"], [STILL])]
    record = check(monkeypatch, tmp_path, *(shard(tmp_path, *part) for part in parts))
    assert record["clips"] == {"train": 1, "evaluation": 2} and record["rejected"] == {"train": 1, "evaluation": 1}
    assert capsys.readouterr().out == "train: 1 clips\nevaluation: 2 clips\n"


@pytest.mark.parametrize(
    "kept, reasons, words",
    [
        (
            0,
            [STILL, "too dark: a; too still: b"],
            ["too still 2, too dark 1", f"0-rejected-0: {STILL}", "loosen filters.min_motion"],
        ),
        (1, ["too short: 0.80 s, 1.00 s needed"], ["got 1 clips of 1 source videos", "clips.num_frames", "clips.fps"]),
        (0, ["no caption"] * 3, ["rejected 3 (no caption 3", "source.captions"]),
        (1, ["unreadable: not a file"], ["replace the files that cannot be read"]),
        (1, [], ["got 1 clips", "add videos", "raise clips.evaluation_share"]),
    ],
)
def test_an_evaluation_split_of_fewer_than_two_is_refused_with_its_reasons(tmp_path, monkeypatch, kept, reasons, words):
    train = shard(tmp_path, "train", 0, 6, ["scene cut: cut_score 0.9, at most 0.5 allowed"])
    told = refused(monkeypatch, tmp_path, train, shard(tmp_path, "evaluation", 0, kept, reasons))
    assert told.startswith("Too few clips for the split evaluation.") and "at least 2 needed" in told
    assert all(word in told for word in words), told
    assert "max_cut_score" not in told, "nothing is wrong with the split that has enough"


def test_training_clips_that_are_all_rejected_are_refused_too(tmp_path, monkeypatch):
    told = refused(monkeypatch, tmp_path, shard(tmp_path, "train", 0, 0, [STILL]), shard(tmp_path, "evaluation", 0, 0))
    assert "for the split train and the split evaluation" in told and "train: got 0 clips" in told
    assert "evaluation_share" not in told, "no share serves both"
    told = refused(monkeypatch, tmp_path, shard(tmp_path, "train", 0, 0, [STILL]), shard(tmp_path, "evaluation", 0, 2))
    assert "lower clips.evaluation_share" in told


def test_dead_links_are_a_matter_of_the_reserve(tmp_path, monkeypatch):
    dead = ["dead link: Video unavailable; <script>", "private video: Private"]
    parts = [("train", 0, 3, []), ("evaluation", 0, 0, dead)]
    told = refused(monkeypatch, tmp_path, *(shard(tmp_path, *part, source="panda70m") for part in parts))
    assert "dead link 1, private video 1" in told and "raise panda70m.reserve" in told and "add videos" not in told


def test_every_filter_has_its_own_remedy(tmp_path, monkeypatch):
    train = shard(tmp_path, "train", 0, 6)
    for number, (reason, _, bound) in enumerate(BOUNDS):
        summary = shard(tmp_path, "evaluation", number, 0, [reason.because("1, at most 0 allowed")])
        assert f"loosen filters.{bound}" in refused(monkeypatch, tmp_path, train, summary)
