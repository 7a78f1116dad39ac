"""Rows are written through datasets that stay open, and read whatever filter they were written with."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from udpdiff.storage import layout
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
