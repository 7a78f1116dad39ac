"""Panda-70M from table to shard by the workflow's own scripts; only the fetching of a time range is stood in for."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from panda_stand_in import scene
from test_panda70m import GATES, record, write

from scripts import choose_clips, download_clips
from udpdiff import jobs
from udpdiff.clip import RejectedClip, Rejection
from udpdiff.config.data import ClipSize, Fetching, Filters
from udpdiff.readable_errors import foreseen, paragraph
from udpdiff.sources import downloading
from udpdiff.sources.download_faults import CannotFetch, Throttled, fault_of
from udpdiff.sources.fetching import load_fetch
from udpdiff.storage.shards import ShardReader

ROOT = Path(__file__).parents[2]
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())
SIZE = ClipSize(height=64, width=64, num_frames=9, fps=8)


class Download:
    """The two scripts on a table of one-clip videos; waits of the fetcher are skipped."""

    def __init__(self, monkeypatch, capsys, folder: Path) -> None:
        self.monkeypatch, self.capsys, self.folder = monkeypatch, capsys, folder
        self.fetching = Fetching(fetch="plugin:panda_stand_in:fetch", attempts=2, rate_limit=None, cookies=None)
        self.chosen = folder / "chosen.parquet"
        monkeypatch.setenv("PANDA_STAND_IN_CALLS", str(folder / "calls"))
        monkeypatch.setattr(downloading.time, "sleep", lambda seconds: None)

    def choose(self, video_ids: list[str], train: int, evaluation: int, reserve: float) -> None:
        self.counts = {"train": train, "evaluation": evaluation}
        table = write(self.folder / "table.csv", [record(video_id, clips=1) for video_id in video_ids])
        job = jobs.ChooseClips(table="", seed=7, **self.counts, min_seconds=9 / 8, gates=GATES, reserve=reserve)
        options = {"job": job.dump(), "table": table, "chosen": self.chosen, "rejected": self.folder / "rejected.csv"}
        self.run(choose_clips, options)

    def run(self, script, options: dict) -> None:
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self.monkeypatch.setattr(sys, "argv", [script.__name__, *words])
        script.main()

    def shard(self, split: str, number: int, expected: int = 0) -> ShardReader | None:
        path = self.folder / f"{split}-{number}.h5"
        job = jobs.DownloadClips(
            split=split,
            shard=number,
            split_clips=self.counts[split],
            shard_clips=4,
            stream_height=360,
            size=SIZE,
            filters=Filters(**DEFAULT["filters"]),
        )
        execution = jobs.Execution(fetching=self.fetching).dump()
        options = {"job": job.dump(), "execution": execution, "chosen": self.chosen, "clips": path}
        code = 0
        try:
            self.run(download_clips, options | {"summary": path.with_suffix(".json")})
        except SystemExit as stopped:
            code = stopped.code
        except CannotFetch as error:
            assert foreseen(error)
            print(paragraph(error), file=sys.stderr)
            code = 1
        self.said = self.capsys.readouterr().err
        assert code == expected, self.said
        assert path.with_suffix(".json").exists() == path.exists()
        return ShardReader(path) if expected == 0 else None

    def calls(self) -> list[str]:
        return (self.folder / "calls").read_text().splitlines()

    def split_of(self, clip_id: str) -> str:
        table = pd.read_parquet(self.chosen)
        return table[table["clip_id"] == clip_id]["split"].item()


@pytest.fixture
def download(monkeypatch, capsys, tmp_path) -> Download:
    return Download(monkeypatch, capsys, tmp_path)


def ids(letters: str) -> list[str]:
    return [f"{letter}{number:010d}" for number, letter in enumerate(letters)]


def test_lost_clips_are_listed_and_replaced_from_the_reserve(download):
    download.choose(ids("DPBT" + "G" * 20), train=6, evaluation=2, reserve=1.5)
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
        for clip_id, data in first.items(["source_id", "source_sha256", "record_sha256"]):
            assert data["source_id"] == clip_id.split(".")[0]
            assert data["source_sha256"] == hashlib.sha256(scene()).hexdigest()
        assert len({first.read(clip_id, "record_sha256") for clip_id in first.clip_ids}) == 4


_REASONS = {"D": "dead link", "P": "private video", "B": ("unreadable", "broken", "too short", "no video")}


def test_a_throttled_shard_asks_to_be_started_again_and_keeps_what_it_has(download):
    download.choose(ids("N" + "G" * 3), train=3, evaluation=1, reserve=0)
    split = download.split_of("N0000000000.0")
    download.shard(split, 0, expected=69)
    assert "start again later" in download.said
    assert not (download.folder / f"{split}-0.h5").exists()
    fetched = [name for name in download.calls() if name[0] == "G"]
    download.shard(split, 0, expected=69)
    assert [name for name in download.calls() if name[0] == "G"] == fetched


def test_other_ways_of_fetching_keep_what_is_finished(download):
    download.choose(ids("N" * 2 + "G" * 6), train=5, evaluation=3, reserve=0)
    split = download.split_of("N0000000000.0")
    download.shard(split, 0, expected=69)
    fetched = [name for name in download.calls() if name[0] == "G"]
    download.fetching = download.fetching.model_copy(update={"attempts": 1, "rate_limit": 1000})
    download.shard(split, 0, expected=69)
    assert fetched and [name for name in download.calls() if name[0] == "G"] == fetched


def test_throttled_clips_that_the_reserve_replaces_are_listed(download):
    download.choose(ids("N" * 6 + "G" * 14), train=5, evaluation=2, reserve=1.8)
    download.fetching = download.fetching.model_copy(update={"attempts": 1})
    with download.shard("train", 0) as train, download.shard("evaluation", 0) as evaluation:
        listed = [entry for shard in (train, evaluation) for entry in shard.rejected]
    assert (len(train), len(evaluation)) == (4, 2)
    tried = {name for name in download.calls() if name[0] == "N"}
    assert tried and {entry["clip_id"][:11] for entry in listed} == tried
    assert all(entry["reason"].startswith("throttled: Sign in") for entry in listed)


def test_a_site_that_keeps_refusing_is_left_alone(download):
    download.choose(ids("N" * 30), train=4, evaluation=1, reserve=4)
    download.fetching = download.fetching.model_copy(update={"attempts": 1})
    download.shard("train", 0, expected=69)
    assert len(download.calls()) == 10 and "10 were throttled: start again later" in download.said


def test_an_exhausted_reserve_is_told_and_does_not_stop_the_run(download):
    download.choose(ids("D" * 4), train=3, evaluation=1, reserve=0)
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
        ("ERROR: [youtube] x429yyyyyyy: Video unavailable", RejectedClip, Rejection.DEAD_LINK),
        ("ERROR: something new", RejectedClip, Rejection.NOT_FETCHED),
    ],
)
def test_messages_are_told_apart(message, kind, reason):
    fault = fault_of(message)
    assert isinstance(fault, kind) and getattr(fault, "reason", None) == reason


@pytest.mark.parametrize("ref", ["ffmpeg", "plugin:os", "plugin:os:system:x", "plugin:a b:c"])
def test_odd_fetchers_are_refused(ref):
    with pytest.raises(ValueError, match="plugin:MODULE:FUNCTION"):
        load_fetch(ref)
