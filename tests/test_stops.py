"""Stops with and without progress, on a shard that a real writer left unfinished."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress

import numpy as np
import pytest

from udpdiff.launching.stops import Stops
from udpdiff.storage.captions import Caption, CaptionWriter
from udpdiff.storage.shards import ShardWriter


def work_until_stopped(path, clips: int) -> None:
    """Add some clips, then stop as a job does that is told to."""
    with (
        warnings.catch_warnings(action="ignore"),
        ShardWriter(path, "entities", {"seed": 1}, resume=True) as writer,
    ):
        for number in range(len(writer.done), len(writer.done) + clips):
            rng = np.random.default_rng(number)
            writer.add(f"clip{number}", {"entity_ids": rng.integers(0, 99, (4, 64, 64)).astype(np.uint16)})
        raise KeyboardInterrupt


def stop_after(path, clips: int) -> bool:
    try:
        work_until_stopped(path, clips)
    except KeyboardInterrupt:
        return Stops([path]).note()


def test_a_job_that_gets_on_is_started_again_and_again(tmp_path):
    path = tmp_path / "0.h5"
    assert [stop_after(path, 2) for _ in range(5)] == [True] * 5
    Stops([path]).forget()
    assert os.listdir(tmp_path) == [".0.h5.partial"]


def test_two_stops_without_a_further_clip_end_it(tmp_path):
    path = tmp_path / "0.h5"
    assert [stop_after(path, clips) for clips in (2, 0, 1, 0, 0)] == [True, True, True, True, False]
    assert os.listdir(tmp_path) == [".0.h5.partial"], "the next start, by a retry, counts anew"


def test_captions_are_progress(tmp_path):
    words = Caption("A ball.", "films", 4)
    told = []
    for number in (0, 1, 2, 2, 2):
        with suppress(KeyboardInterrupt), CaptionWriter(tmp_path / "0.parquet", {}) as table:
            for clip in range(len(table.done), number + 1):
                table.add(f"clip{clip}", words, words)
            raise KeyboardInterrupt
        told.append(Stops([tmp_path / "0.parquet"]).note())
    assert told == [True, True, True, True, False]


def test_one_output_of_several_is_progress(tmp_path):
    first, second = tmp_path / "0.clips.h5", tmp_path / "0.dense.h5"
    stops = Stops([first, second])
    assert stops.note()
    (tmp_path / ".0.dense.h5.partial").write_bytes(b"x")
    assert stops.note() and stops.note() and not stops.note()


def test_a_training_gets_on_by_its_checkpoints(tmp_path):
    stops = Stops([tmp_path / "base"])
    assert stops.note(), "nothing yet, for the first time"
    (tmp_path / "base" / "checkpoint-20").mkdir(parents=True)
    assert stops.note() and stops.note()
    (tmp_path / "base" / "checkpoint-100").mkdir()
    (tmp_path / "base" / ".checkpoint-120.writing").mkdir()
    assert stops.note() and stops.note() and not stops.note()


def test_a_training_that_begins_anew_gets_on_from_where_it_begins(tmp_path):
    stops = Stops([tmp_path / "base"])
    (tmp_path / "base" / "checkpoint-10000").mkdir(parents=True)
    assert stops.note()
    (tmp_path / "base" / "checkpoint-10000").rename(tmp_path / "aside")  # another recipe
    for step in (500, 1000, 1500):
        (tmp_path / "base" / f"checkpoint-{step}").mkdir()
        assert stops.note()
    assert stops.note() and not stops.note()


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"reached": 3}', b'{"reached": "far", "idle": 0}', b"\xff"])
def test_a_damaged_note_counts_as_none(tmp_path, content):
    path = tmp_path / "0.h5"
    assert stop_after(path, 2)
    (tmp_path / ".0.h5.stops").write_bytes(content)
    assert stop_after(path, 0) and stop_after(path, 0), "as if this were the first stop"
    assert not stop_after(path, 0)
