"""Stops with and without progress, on a shard that a real writer left unfinished."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress

import numpy as np
import pytest

from udpdiff.slices import Slices
from udpdiff.storage.captions import Caption, CaptionWriter
from udpdiff.storage.shards import ShardWriter


def slice_of_work(path, clips: int) -> None:
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
        slice_of_work(path, clips)
    except KeyboardInterrupt:
        return Slices([path]).stopped()


def test_a_job_that_gets_on_is_started_again_and_again(tmp_path):
    path = tmp_path / "0.h5"
    assert [stop_after(path, 2) for _ in range(5)] == [True] * 5
    Slices([path]).ended()
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
        told.append(Slices([tmp_path / "0.parquet"]).stopped())
    assert told == [True, True, True, True, False]


def test_one_output_of_several_is_progress(tmp_path):
    first, second = tmp_path / "0.clips.h5", tmp_path / "0.dense.h5"
    slices = Slices([first, second])
    assert slices.stopped()
    (tmp_path / ".0.dense.h5.partial").write_bytes(b"x")
    assert slices.stopped() and slices.stopped() and not slices.stopped()


def test_a_training_gets_on_by_its_checkpoints(tmp_path):
    slices = Slices([tmp_path / "base"])
    assert slices.stopped(), "nothing yet, for the first time"
    (tmp_path / "base" / "checkpoint-20").mkdir(parents=True)
    assert slices.stopped() and slices.stopped()
    (tmp_path / "base" / "checkpoint-100").mkdir()
    (tmp_path / "base" / ".checkpoint-120.writing").mkdir()
    assert slices.stopped() and slices.stopped() and not slices.stopped()


def test_a_training_that_begins_anew_gets_on_from_where_it_begins(tmp_path):
    slices = Slices([tmp_path / "base"])
    (tmp_path / "base" / "checkpoint-10000").mkdir(parents=True)
    assert slices.stopped()
    (tmp_path / "base" / "checkpoint-10000").rename(tmp_path / "aside")  # another recipe
    for step in (500, 1000, 1500):
        (tmp_path / "base" / f"checkpoint-{step}").mkdir()
        assert slices.stopped()
    assert slices.stopped() and not slices.stopped()


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"reached": 3}', b'{"reached": "far", "idle": 0}', b"\xff"])
def test_a_damaged_note_counts_as_none(tmp_path, content):
    path = tmp_path / "0.h5"
    assert stop_after(path, 2)
    (tmp_path / ".0.h5.slices").write_bytes(content)
    assert stop_after(path, 0) and stop_after(path, 0), "as if this were the first stop"
    assert not stop_after(path, 0)
