"""Panda-70M from table to shard by the workflow's own scripts; only the fetching of a time range is stood in for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from test_panda70m import record, write

from udpdiff.clip import RejectedClip, Rejection
from udpdiff.sources.fetching import Throttled, check_reference, fault_of
from udpdiff.storage.shards import ShardReader

ROOT = Path(__file__).parents[2]
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())


class Download:
    """The two scripts on a table of one-clip videos."""

    def __init__(self, folder: Path, video_ids: list[str], train: int, evaluation: int, reserve: float) -> None:
        self.folder = folder
        self.told = {key: DEFAULT[key] for key in ("seed", "source", "filters")}
        self.told["clips"] = DEFAULT["clips"] | {"train": train, "evaluation": evaluation, "shard_clips": 4}
        self.told["panda70m"] = DEFAULT["panda70m"] | {"reserve": reserve}
        fetch = "plugin:panda_stand_in:fetch"
        self.fetching = {"fetch": fetch, "attempts": 2, "rate_limit": None, "cookies": None}
        self.table = write(folder / "table.csv", [record(video_id, clips=1) for video_id in video_ids])
        self.chosen = folder / "chosen.parquet"
        told = ("--table", self.table, "--chosen", self.chosen, "--rejected", folder / "rejected.csv")
        self.run("choose_clips", *told)

    def run(self, script: str, *arguments, expected: int = 0) -> str:
        environment = os.environ | {
            "PYTHONPATH": f"{ROOT}{os.pathsep}{Path(__file__).parent}",
            "PANDA_STAND_IN_CALLS": str(self.folder / "calls"),
        }
        command = [sys.executable, "-m", f"scripts.{script}", "--settings", json.dumps(self.told), *map(str, arguments)]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
        assert done.returncode == expected, done.stderr
        return done.stderr

    def shard(self, split: str, number: int, expected: int = 0) -> ShardReader:
        path = self.folder / f"{split}-{number}.h5"
        told = ("--split", split, "--shard", number, "--chosen", self.chosen, "--clips", path)
        self.said = self.run("download_clips", *told, "--fetching", json.dumps(self.fetching), expected=expected)
        return ShardReader(path) if expected == 0 else None

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()


def ids(letters: str) -> list[str]:
    return [f"{letter}{number:010d}" for number, letter in enumerate(letters)]


def test_lost_clips_are_listed_and_replaced_from_the_reserve(tmp_path):
    download = Download(tmp_path, ids("DPBT" + "G" * 20), train=6, evaluation=2, reserve=1.5)
    with (
        download.shard("train", 0) as first,
        download.shard("train", 1) as second,
        download.shard("evaluation", 0) as e,
    ):
        assert (len(first), len(second), len(e)) == (4, 2, 2)
        shards = (first, second, e)
        names = [clip_id for shard in shards for clip_id in shard.clip_ids]
        assert len(set(names)) == 8 and not [name for name in names if name[0] in "DPB"]
        listed = {entry["clip_id"][0]: entry["reason"] for shard in shards for entry in shard.rejected}
        assert all(reason.startswith(_REASONS[letter]) for letter, reason in listed.items())
        assert {data["source_id"] for _, data in first.items(["source_id"])} == {
            n.split(".")[0] for n in first.clip_ids
        }


_REASONS = {"D": "dead link", "P": "private video", "B": ("unreadable", "broken", "too short", "no video")}


def test_a_throttled_shard_asks_to_be_started_again_and_keeps_what_it_has(tmp_path):
    download = Download(tmp_path, ids("N" + "G" * 3), train=3, evaluation=1, reserve=0)
    # Evaluation may have taken the throttled one.
    split = "train" if "N0000000000.0" in _chosen(download, "train") else "evaluation"
    download.shard(split, 0, expected=75)
    assert "start again later" in download.said
    assert not (tmp_path / f"{split}-0.h5").exists()
    fetched = [name for name in download.calls() if name[0] == "G"]
    download.shard(split, 0, expected=75)
    assert [name for name in download.calls() if name[0] == "G"] == fetched


def test_other_ways_of_fetching_keep_what_is_finished(tmp_path):
    download = Download(tmp_path, ids("N" * 2 + "G" * 6), train=5, evaluation=3, reserve=0)
    split = "train" if "N0000000000.0" in _chosen(download, "train") else "evaluation"
    download.shard(split, 0, expected=75)
    fetched = [name for name in download.calls() if name[0] == "G"]
    download.fetching |= {"attempts": 1, "rate_limit": 1000}
    download.shard(split, 0, expected=75)
    assert fetched and [name for name in download.calls() if name[0] == "G"] == fetched


def test_throttled_clips_that_the_reserve_replaces_are_listed(tmp_path):
    download = Download(tmp_path, ids("N" * 6 + "G" * 14), train=5, evaluation=2, reserve=1.8)
    download.fetching["attempts"] = 1
    with download.shard("train", 0) as train, download.shard("evaluation", 0) as evaluation:
        listed = [entry for shard in (train, evaluation) for entry in shard.rejected]
    assert (len(train), len(evaluation)) == (4, 2)
    tried = {name for name in download.calls() if name[0] == "N"}
    assert tried and {entry["clip_id"][:11] for entry in listed} == tried
    assert all(entry["reason"].startswith("throttled: Sign in") for entry in listed)


def test_a_site_that_keeps_refusing_is_left_alone(tmp_path):
    download = Download(tmp_path, ids("N" * 30), train=4, evaluation=1, reserve=4)
    download.fetching["attempts"] = 1
    download.shard("train", 0, expected=75)
    assert len(download.calls()) == 10 and "10 were throttled: start again later" in download.said


def _chosen(download, split: str) -> set[str]:
    import pandas as pd

    table = pd.read_parquet(download.chosen)
    return set(table[table["split"] == split]["clip_id"])


def test_an_exhausted_reserve_is_told_and_does_not_stop_the_run(tmp_path):
    download = Download(tmp_path, ids("D" * 4), train=3, evaluation=1, reserve=0)
    with download.shard("train", 0) as shard:
        assert len(shard) == 0 and {entry["reason"][:9] for entry in shard.rejected} == {"dead link"}
    assert "raise panda70m.reserve" in download.said


@pytest.mark.parametrize(
    "message, kind, reason",
    [
        ("ERROR: [youtube] x: Video unavailable. This video has been removed", RejectedClip, Rejection.DEAD_LINK),
        ("ERROR: [youtube] x: Private video. Sign in if you've been granted access", RejectedClip, Rejection.PRIVATE),
        ("ERROR: HTTP Error 429: Too Many Requests", Throttled, None),
        ("ERROR: [youtube] x: Sign in to confirm you're not a bot", Throttled, None),
        ("ERROR: something new", RejectedClip, Rejection.NOT_FETCHED),
    ],
)
def test_messages_are_told_apart(message, kind, reason):
    fault = fault_of(message)
    assert isinstance(fault, kind) and getattr(fault, "reason", None) == reason


@pytest.mark.parametrize("ref", ["ffmpeg", "plugin:os", "plugin:os:system:x", "plugin:a b:c"])
def test_odd_fetchers_are_refused(ref):
    with pytest.raises(ValueError, match=r"panda70m\.fetch"):
        check_reference(ref)
