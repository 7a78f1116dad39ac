"""Disks that fill and files that are damaged: the job stops, names the file, and nothing wrong is ever read."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet
import pytest
from test_shards import ATTRS, make_clip

from udpdiff.storage import layout
from udpdiff.storage.captions import Caption, CaptionWriter, read_captions
from udpdiff.storage.errors import StorageError
from udpdiff.storage.failures import Failures
from udpdiff.storage.files import replace_folder, write_json
from udpdiff.storage.schema import SCHEMAS
from udpdiff.storage.shards import ShardReader, ShardWriter


def write(path, schema: str, clips: int = 3, **options):
    with ShardWriter(path, schema, ATTRS.get(schema, {}), **options) as writer:
        for number in range(clips):
            if f"clip{number}" not in writer.done:
                writer.add(f"clip{number}", make_clip(schema, number), {"score": number})
    return path


def flip(dataset: h5py.Dataset, row: int) -> None:
    """Change one value of a row, as a bit that rots would."""
    value = dataset[row]
    if isinstance(value, bytes):
        dataset[row] = (value or b"?").swapcase() if value.swapcase() != value else b"other"
        return
    changed = value.copy()
    changed.reshape(-1).view(np.uint8)[-1] ^= 1
    dataset[row] = changed


@pytest.mark.parametrize(("schema", "name"), [(s, name) for s in sorted(SCHEMAS) for name in SCHEMAS[s].datasets])
def test_a_damaged_value_is_refused_when_first_read(tmp_path, schema, name):
    path = write(tmp_path / "it's.h5", schema)
    with h5py.File(path, "r+") as file:
        flip(file["data"][name], 1)
    shard = ShardReader(path)
    shard.read("clip0", name)
    with pytest.raises(
        StorageError, match=rf"it's\.h5: '{name}' of clip 'clip1' is not what was written .*rm .* && snakemake"
    ):
        shard.read("clip1", name)


def test_each_part_of_a_stack_is_checked_by_itself(tmp_path):
    path = write(tmp_path / "0.h5", "latents", 1)
    with h5py.File(path, "r+") as file:
        file["data/latents"][0, 2, 0, 0, 0, 0] += 1
    shard = ShardReader(path)
    shard.read_at(0, "latents", part=0)
    for part in (2, None):
        with pytest.raises(StorageError, match="sha256"):
            shard.read_at(0, "latents", part=part)


def test_a_value_is_hashed_once(tmp_path, monkeypatch):
    shard = ShardReader(write(tmp_path / "0.h5", "latents", 1))
    hashed = []
    from udpdiff.storage import shards

    real = shards.value_digest
    monkeypatch.setattr(shards, "value_digest", lambda value: hashed.append(value.shape) or real(value))
    shard.read_at(0, "latents", part=1)
    shard.read_at(0, "latents", part=1)
    assert len(hashed) == 1
    shard.read_at(0, "latents")
    shard.read_at(0, "latents", part=2)
    assert len(hashed) == 1 + 3


def test_a_torn_file_is_refused(tmp_path):
    path = write(tmp_path / "0.h5", "depth")
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(StorageError, match=r"0\.h5: cannot be read.*build it again: rm"):
        ShardReader(path)


def test_the_sum_of_labels_is_covered(tmp_path):
    path = write(tmp_path / "0.h5", "depth")
    with h5py.File(path, "r+") as file:
        file["sum"][0, 0] += 1
    with pytest.raises(StorageError, match="lists"):
        ShardReader(path)


@pytest.mark.parametrize("what", ["word", "cut"])
def test_a_damaged_caption_table_is_refused(tmp_path, what):
    path = tmp_path / "0.parquet"
    with CaptionWriter(path, {}) as table:
        table.add("a", Caption("A dog.", "source", 3), Caption("A dog runs.", "model", 4))
    if what == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        table = pyarrow.parquet.read_table(path)
        words = pyarrow.array(["A cat runs."], table.schema.field("detailed").type)
        column = table.schema.get_field_index("detailed")
        pyarrow.parquet.write_table(table.set_column(column, table.schema.field(column), words), path)
    with pytest.raises(StorageError, match=r"0\.parquet.*build it again"):
        read_captions([path])


def test_storage_faults_are_no_clips_failures(tmp_path):
    failures = Failures(100, 0.5)
    for error in (StorageError("disk"), MemoryError()):
        with pytest.raises(type(error)), failures.caught("a"):
            raise error
    assert failures.reasons == {}


@pytest.mark.parametrize("list_name", ["scores", "clip_ids", "rejected"])
def test_a_failing_write_stops_the_writer_for_good(tmp_path, monkeypatch, list_name):
    """As the disk fills in the middle of a row and is freed at once."""
    real, path = layout._write_row, tmp_path / "0.h5"

    def write_row(dataset, row, value):
        if dataset.name == f"/{list_name}" and row == 1:
            dataset.resize(row + 1, axis=0)
            raise OSError(28, "No space left on device")
        real(dataset, row, value)

    failures = Failures(3, 1)
    with (
        pytest.raises(StorageError, match="an earlier write failed"),
        ShardWriter(path, "depth", resume=True) as writer,
    ):
        writer.reject("bad", "dark")
        writer.add("clip0", make_clip("depth", 0))
        monkeypatch.setattr(layout, "_write_row", write_row)
        said = r"0\.h5: cannot be written .*No space left.*the disk at .* MiB free"
        with pytest.raises(StorageError, match=said), failures.caught("clip1"):
            if list_name == "rejected":
                writer.reject("clip1", "dark")
            writer.add("clip1", make_clip("depth", 1))
        monkeypatch.setattr(layout, "_write_row", real)
        with pytest.raises(StorageError, match="an earlier write failed"):
            writer.add("clip2", make_clip("depth", 2))
    assert not path.exists() and failures.reasons == {}
    with warnings.catch_warnings(action="ignore"), ShardWriter(path, "depth", resume=True) as writer:
        assert writer.done == {"clip0", "bad"}
        writer.add("clip1", make_clip("depth", 1))
    with ShardReader(path) as shard:
        assert shard.clip_ids == ["clip0", "clip1"] and [each["clip_id"] for each in shard.rejected] == ["bad"]
        shard.verify()


LIMITED = """
import resource, sys
sys.path.insert(0, {tests!r})
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
from pathlib import Path
from test_damage import write
write(Path({path!r}), "entities", 60, resume=True)
"""


@pytest.mark.parametrize("limit", [40_000, 41_234, 62_000])
def test_a_full_disk_stops_the_job_and_what_is_finished_is_kept(tmp_path, limit):
    path = tmp_path / "0.h5"
    code = LIMITED.format(tests=str(Path(__file__).parent), limit=limit, path=str(path))
    job = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert job.returncode == 1 and "StorageError" in job.stderr and "File too large" in job.stderr, job.stderr
    assert not path.exists()
    with ShardWriter(path, "entities", resume=True) as writer:
        assert len(writer.done) > 20
    write(path, "entities", 60)
    whole = ShardReader(path)
    whole.verify()
    assert whole.clip_ids == [f"clip{number}" for number in range(60)]


def test_an_id_in_both_lists_is_never_finished(tmp_path):
    with (
        pytest.raises(ValueError, match=r"Listed twice.*'clip0'"),
        ShardWriter(tmp_path / "0.h5", "depth") as writer,
    ):
        writer.add("clip0", make_clip("depth", 0))
        writer.done.clear()
        writer.reject("clip0", "dark")
    assert not (tmp_path / "0.h5").exists()


def test_what_is_in_the_way_of_small_files_and_folders_is_no_fault_of_the_disk(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"figures\.json: cannot be written .*File exists.*Mend the place") as told:
        write_json(tmp_path / "file/figures.json", {})
    assert "MiB free" not in str(told.value) and "room" not in str(told.value)
    with pytest.raises(StorageError, match="cannot be written"), replace_folder(tmp_path / "file/folder"):
        pass
    write_json(tmp_path / "new/figures.json", {"a": [1, 2.5]})
    assert json.loads((tmp_path / "new/figures.json").read_text()) == {"a": [1, 2.5]}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["figures.json"]
