"""Caption tables: written whole or not at all, taken over from a stopped writer, rejected clips apart."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from udpdiff.storage.captions import Caption, CaptionWriter, read_captions, read_rejections
from udpdiff.storage.errors import StorageError

BRIEF, DETAILED = (
    Caption("A dog.", "source", 3),
    Caption("A dog runs.", "model", 4, cut_tokens=2, whole="A dog runs. It barks."),
)
ATTRS = {"job": {"seed": 1}}


def write(path, *clip_ids, attrs=ATTRS, stop=False):
    with CaptionWriter(path, attrs) as table:
        for clip_id in clip_ids:
            if clip_id not in table.done:
                table.add(clip_id, BRIEF, DETAILED)
        if stop:
            raise KeyboardInterrupt


def test_what_is_written_is_read(tmp_path):
    with CaptionWriter(tmp_path / "0.parquet", ATTRS) as table:
        table.add("a", BRIEF, DETAILED)
        table.reject("b", "looping caption: 'a dog'")
    assert read_captions([tmp_path / "0.parquet"]) == {
        "a": {
            "brief": "A dog.",
            "detailed": "A dog runs.",
            "brief_whole": "",
            "detailed_whole": "A dog runs. It barks.",
            "prompt": "A dog runs.",
            "brief_source": "source",
            "detailed_source": "model",
            "rejected": "",
            "brief_tokens": 3,
            "brief_cut_tokens": 0,
            "detailed_tokens": 4,
            "detailed_cut_tokens": 2,
        }
    }
    assert read_rejections([tmp_path / "0.parquet"]) == {"b": "looping caption: 'a dog'"}
    assert [path.name for path in tmp_path.iterdir()] == ["0.parquet"]


def test_a_stopped_writer_is_taken_over(tmp_path):
    path = tmp_path / "0.parquet"
    with pytest.raises(KeyboardInterrupt):
        write(path, "a", "b", stop=True)
    assert not path.exists()
    staging = tmp_path / ".0.parquet.partial"
    staging.write_text(staging.read_text() + '{"clip_id": "c", "bri')  # killed inside a line
    with CaptionWriter(path, ATTRS) as table:
        assert table.done == {"a", "b"}
        table.add("c", BRIEF, DETAILED)
    assert list(read_captions([path])) == ["a", "b", "c"]


def test_rows_with_other_attributes_are_not_taken_over(tmp_path):
    path = tmp_path / "0.parquet"
    with pytest.raises(KeyboardInterrupt):
        write(path, "a", stop=True)
    with pytest.warns(UserWarning, match="other attributes"):
        write(path, "b", attrs={"job": {"seed": 2}})
    assert list(read_captions([path])) == ["b"]


def test_an_id_comes_once(tmp_path):
    with pytest.raises(ValueError, match="'a': got it twice"), CaptionWriter(tmp_path / "0.parquet", ATTRS) as table:
        table.add("a", BRIEF, DETAILED)
        table.reject("a", "empty caption")


def test_no_clips_at_all(tmp_path):
    write(tmp_path / "0.parquet")
    assert read_captions([tmp_path / "0.parquet"]) == {}


@pytest.mark.parametrize("kind", [Path, str])
def test_other_tables_are_refused(tmp_path, kind):
    pd.DataFrame({"clip_id": ["a"]}).to_parquet(tmp_path / "0.parquet")
    with pytest.raises(StorageError, match="earlier version"):
        read_captions([kind(tmp_path / "0.parquet")])
