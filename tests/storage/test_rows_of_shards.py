"""Rows are written through datasets that stay open, and read whatever filter they were written with."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from udpdiff.storage import layout
from udpdiff.storage.errors import StorageError
from udpdiff.storage.shards import ShardReader, ShardWriter


def write(path, rows: int, attrs: dict | None = None) -> None:
    with ShardWriter(path, "depth", attrs) as writer:
        for number in range(rows):
            writer.add(f"clip {number}", {"depth": np.full((2, 8, 8), 257 * number, np.uint16)})


@pytest.mark.parametrize("attrs", [{}, {"coarse_bits": 8}])
def test_no_dataset_is_opened_again_for_a_row(tmp_path, monkeypatch, attrs):
    opened, look_up = [], h5py.Group.__getitem__
    monkeypatch.setattr(h5py.Group, "__getitem__", lambda group, name: opened.append(name) or look_up(group, name))
    counts = []
    for rows in (2, 9):
        opened.clear()
        write(tmp_path / f"{rows}.h5", rows, attrs)
        counts.append(len(opened))
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize("level", [0, 4, 9])
def test_shards_of_other_levels_of_gzip_hold_the_same(tmp_path, monkeypatch, level):
    write(tmp_path / "now.h5", 3)
    monkeypatch.setattr(layout, "_GZIP_LEVEL", level)
    write(tmp_path / "before.h5", 3)
    now, before = ShardReader(tmp_path / "now.h5"), ShardReader(tmp_path / "before.h5")
    assert now.sha256 == before.sha256
    np.testing.assert_array_equal(now.read("clip 2", "depth"), before.read("clip 2", "depth"))
    with h5py.File(tmp_path / "before.h5", locking=False) as file:
        assert file["data/depth"].compression_opts == level


CLIPS = {"height": 16, "width": 16, "num_frames": 2, "fps": 8, "source": "x"}


def write_texts(path, rows: int) -> None:
    empty = {"source_id": "", "source_sha256": "", "record_sha256": "", "video_mp4": b"a video"}
    with ShardWriter(path, "clips", CLIPS) as writer:
        for number in range(rows):
            words = {"brief": f"brief {number}", "detailed": "\N{SNOWMAN}" * (number % 5)}
            writer.add(f"clip {number}", empty | words)


def test_texts_are_read_some_rows_at_once_and_are_those_of_their_rows(tmp_path, monkeypatch):
    write_texts(tmp_path / "0.h5", 150)
    calls, honest = [], h5py.Dataset.asstr
    monkeypatch.setattr(h5py.Dataset, "asstr", lambda dataset: calls.append(dataset.name) or honest(dataset))
    with ShardReader(tmp_path / "0.h5") as shard:
        calls.clear()
        found = dict(shard.items(["detailed", "brief", "video_mp4"]))
        assert calls.count("/data/brief") == 3, "of 64 rows each"
        assert list(found) == shard.clip_ids and found["clip 149"]["brief"] == "brief 149"
        for clip_id in ("clip 0", "clip 63", "clip 64", "clip 149"):
            for name, value in found[clip_id].items():
                assert shard.read(clip_id, name) == value
        with pytest.raises(ValueError, match="got dataset 'nothing'"):
            next(shard.items(["nothing"]))


def test_a_damaged_text_is_found_in_its_row(tmp_path):
    write_texts(tmp_path / "0.h5", 100)
    with h5py.File(tmp_path / "0.h5", "r+", locking=False) as file:
        file["data/brief"][77] = "brief 76"
    seen = []
    with ShardReader(tmp_path / "0.h5") as shard, pytest.raises(StorageError, match="'brief' of clip 'clip 77'"):
        for clip_id, _ in shard.items(["brief"]):
            seen.append(clip_id)
    assert seen[-1] == "clip 76"
