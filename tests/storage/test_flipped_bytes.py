"""A byte that changes anywhere in a file of ours is told when the file is read, with what builds it again; or it says nothing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_damage import write
from test_full_disk import WRITERS, write_captions, write_chosen, write_record, write_summary

from udpdiff.config.data import ClipSize, PandaGates
from udpdiff.jobs import DownloadClips
from udpdiff.sources.downloading import shard_candidates
from udpdiff.storage.captions import Caption, CaptionWriter, read_captions
from udpdiff.storage.errors import StorageError
from udpdiff.storage.means import read_mean, write_mean
from udpdiff.storage.sealed import check_file, check_folder, read_record, seal_file, seal_folder
from udpdiff.storage.sealed import write_record as write_sealed
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.storage.summaries import read_summary
from udpdiff.timing import read_throughputs
from udpdiff.training.checkpoint import DamagedCheckpoint, read_state


def make_mean(folder: Path) -> Path:
    write_mean(write(folder / "shard.h5", "depth"), folder / "mean.npz")
    return folder / "mean.npz"


def make_table(folder: Path) -> Path:
    path = folder / "table1.csv"
    path.write_text("model,fvd_ours\nours,123.4\n")
    seal_file(path, folder / "table1.csv.sha256")
    return path


def read_figures(path: Path) -> Any:
    summary = read_summary(path)
    return summary.schema, summary.attrs, summary.clips, summary.rejected, summary.sources


def read_sealed(path: Path) -> str:
    check_file(path)
    return path.read_text()


def read_chosen(path: Path) -> Any:
    gates = PandaGates(max_seconds=60, min_matching_score=0.4, desirable_only=True, single_shot=True, clips_per_video=3)
    told = {"split": "train", "shard": 0, "split_clips": 20, "shard_clips": 20, "stream_height": 360}
    job = DownloadClips.model_construct(**told, gates=gates, size=ClipSize(height=16, width=16, num_frames=5, fps=8))
    return shard_candidates(path, job)


KINDS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Any]]] = {
    "summary": (write_summary, read_figures),
    "figures": (write_record, read_record),
    "captions": (write_captions, lambda path: read_captions([path])),
    "chosen clips": (write_chosen, read_chosen),
    "mean": (make_mean, lambda path: read_mean(path).tolist()),
    "table": (make_table, read_sealed),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_byte_is_told_or_says_nothing(tmp_path, kind):
    make, read = KINDS[kind]
    (tmp_path / "made").mkdir()
    path = make(tmp_path / "made")
    whole, told = path.read_bytes(), 0
    expected = read(path)
    for offset in range(0, len(whole), max(1, len(whole) // 150)):
        changed = bytearray(whole)
        changed[offset] ^= 0x21
        # Another file each time: one that proved whole is not looked at twice.
        other = tmp_path / str(offset) / path.name
        other.parent.mkdir()
        other.write_bytes(changed)
        beside = path.with_name(f"{path.name}.sha256")
        if beside.exists():
            other.with_name(beside.name).write_bytes(beside.read_bytes())
        try:
            assert read(other) == expected, offset
        except StorageError as error:
            told += 1
            assert re.search(rf"{path.name}: .*(build it again: rm .* && snakemake|build again)", str(error)), error
    assert told > 50 or kind == "table"


def test_the_frames_of_a_mean_are_covered(tmp_path):
    path = make_mean(tmp_path)
    with np.load(path) as file:
        content = dict(file)
    np.savez(path, **content | {"frames": np.int64(int(content["frames"]) + 1)})
    with pytest.raises(StorageError, match="mean"):
        read_mean(path)


def test_the_words_of_a_chosen_clip_are_covered(tmp_path):
    import pandas

    path = write_chosen(tmp_path)
    table = pandas.read_parquet(path)
    table.loc[3, "start"] += 1.0
    table.to_parquet(path, index=False)
    with pytest.raises(StorageError, match=r"chosen\.parquet: its rows are not what was written"):
        read_chosen(path)


@pytest.mark.parametrize("content", ["", "{", "[1]", "{}", '{"metrics": {}}', '{"content_sha256": "ab"}', "\xff"])
def test_what_is_no_record_is_refused(tmp_path, content):
    (tmp_path / "quality.json").write_text(content, encoding="latin-1")
    with pytest.raises(StorageError, match=r"quality\.json: .*Remove the file and build it again"):
        read_record(tmp_path / "quality.json")


def test_a_record_comes_back_as_json_does(tmp_path):
    write_sealed(tmp_path / "a.json", {"nan": math.nan, "pair": (1, 2), 7: None, "text": "ü", "big": 2**70, "x": 0.1})
    found = read_record(tmp_path / "a.json")
    assert math.isnan(found.pop("nan"))
    assert found == {"pair": [1, 2], "7": None, "text": "ü", "big": 2**70, "x": 0.1}
    assert list(json.loads((tmp_path / "a.json").read_text()))[-1] == "content_sha256"
    write_sealed(tmp_path / "a.json", json.loads((tmp_path / "a.json").read_text()) | {"nan": 1})
    assert read_record(tmp_path / "a.json")["nan"] == 1, "a digest that was copied along is none"


def make_folder(folder: Path) -> Path:
    (folder / "transformer").mkdir(parents=True)
    (folder / "transformer" / "config.json").write_text("{}")
    (folder / "transformer" / "model.safetensors").write_bytes(b"w" * 99)
    (folder / "train.jsonl").write_text("{}\n")
    seal_folder(folder)
    return folder


@pytest.mark.parametrize("name", ["transformer/config.json", "transformer/model.safetensors", "digests.json"])
@pytest.mark.parametrize("harm", ["flip", "cut", "empty", "gone"])
def test_each_file_of_a_folder_is_covered(tmp_path, name, harm):
    folder = make_folder(tmp_path / "run")
    content = (folder / name).read_bytes()
    harmed = {"flip": content[:1] + bytes([content[1] ^ 1]) + content[2:], "cut": content[:-2], "empty": b""}
    (folder / name).unlink() if harm == "gone" else (folder / name).write_bytes(harmed[harm])
    with pytest.raises(StorageError, match=rf"run/{name}: .*Remove the f.* and build it again: rm .*run.* snakemake"):
        check_folder(folder, ["transformer"])


def test_a_file_that_is_not_asked_for_is_not_read(tmp_path):
    folder = make_folder(tmp_path / "run")
    (folder / "train.jsonl").write_text("")
    assert set(check_folder(folder, ["transformer", "scheduler"])) == {
        "transformer/config.json",
        "transformer/model.safetensors",
    }
    with pytest.raises(StorageError, match=r"train\.jsonl"):
        check_folder(folder, ["train.jsonl"])


def test_a_file_is_hashed_once_in_a_process_and_again_when_it_changed(tmp_path, monkeypatch):
    from udpdiff.storage import sealed

    folder, hashed, real = make_folder(tmp_path / "run"), [], sealed.file_sha256
    monkeypatch.setattr(sealed, "file_sha256", lambda path: hashed.append(path.name) or real(path))
    for _ in range(2):
        check_folder(folder, ["transformer"])
    assert hashed == ["config.json", "model.safetensors"]
    (folder / "transformer" / "config.json").write_text("[]  ")
    with pytest.raises(StorageError):
        check_folder(folder, ["transformer"])


def test_a_table_whose_digest_is_gone_is_refused(tmp_path):
    path = make_table(tmp_path)
    path.with_name("table1.csv.sha256").unlink()
    with pytest.raises(StorageError, match=r"table1\.csv: .*rm .*table1\.csv && snakemake"):
        check_file(path)


def test_the_state_of_a_checkpoint_is_covered(tmp_path):
    path = WRITERS["checkpoint"](tmp_path) / "state.json"
    whole = path.read_text()
    read_state(tmp_path, 3)
    for old, new in (('"step": 3', '"step": 4'), ('"fingerprint": "a"', '"fingerprint": "b"'), ("{}", '{"loss": []}')):
        path.write_text(whole.replace(old, new))
        with pytest.raises(DamagedCheckpoint, match=r"state\.json is missing or damaged"):
            read_state(tmp_path, 3)


def test_damaged_timings_are_passed_over(tmp_path):
    path = WRITERS["timing"](tmp_path / "benchmarks")
    assert len(read_throughputs(tmp_path / "benchmarks", tmp_path / "none.json")) == 1
    path.write_text(path.read_text().replace('"clips": 1', '"clips": 7'))
    assert read_throughputs(tmp_path / "benchmarks", tmp_path / "none.json") == []


def test_what_a_stopped_writer_left_is_checked_row_by_row(tmp_path):
    path, hidden = tmp_path / "0.parquet", tmp_path / ".0.parquet.partial"
    with pytest.raises(KeyboardInterrupt), CaptionWriter(path, {}) as table:
        for name in "abc":
            table.add(name, Caption("A dog.", "source", 3), Caption("A dog runs.", "model", 4))
        raise KeyboardInterrupt
    lines = hidden.read_bytes().split(b"\n")
    lines[2] = lines[2].replace(b"A dog runs.", b"A cat runs.")
    lines[3] = lines[3].replace(b"A dog.", b"A \xff.")
    hidden.write_bytes(b"\n".join(lines))
    with CaptionWriter(path, {}) as table:
        assert table.done == {"a"}
        for name in "bc":
            table.add(name, Caption("A dog.", "source", 3), Caption("A dog runs.", "model", 4))
    assert {row["detailed"] for row in read_captions([path]).values()} == {"A dog runs."}


def test_a_damaged_rejection_of_a_stopped_writer_is_made_again(tmp_path):
    import h5py

    path, hidden = tmp_path / "0.h5", tmp_path / ".0.h5.partial"
    with pytest.raises(KeyboardInterrupt), ShardWriter(path, "depth", resume=True) as shard:
        shard.reject("clip0", "dark")
        shard.reject("clip1", "dark")
        raise KeyboardInterrupt
    with h5py.File(hidden, "r+") as file:
        file["rejected"][1] = file["rejected"][1].replace(b"clip1", b"clip7")
    with pytest.warns(UserWarning, match="damaged"), ShardWriter(path, "depth", resume=True) as shard:
        assert shard.done == {"clip0"}
        shard.reject("clip1", "dark")
    assert [each["clip_id"] for each in ShardReader(path).rejected] == ["clip0", "clip1"]
