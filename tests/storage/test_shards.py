"""Shards: what is written is what is read, a kill leaves nothing half, and wrong use is refused clearly."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import h5py
import numpy as np
import pytest

from udpdiff.storage.errors import StorageError
from udpdiff.storage.schema import SCHEMAS, DatasetSpec
from udpdiff.storage.shards import ShardReader, ShardWriter, digest

ATTRS = {
    "clips": {"height": 6, "width": 8, "num_frames": 5, "fps": 8.0, "source": "scenes"},
    "latents": {"scaling_factor": 0.7, "vae": "mini:cogvideox"},
    "text": {"text_style": "mixed"},
    "predictions": {"run": "seg", "task": "seg", "fps": 8.0},
    "features": {"names": {"video": "mini:video_encoder"}},
    "two_features": {"names": {"video": "mini:video_encoder", "kernel": "lab/kernel"}},
    "comparisons": {"task": "depth", "judge": "depthcrafter"},
}
SIZES = {"T": 5, "S": 4, "H": 6, "W": 8, "K": 3, "F": 2, "C": 4, "h": 3, "w": 2, "L": 7, "D": 5, "E": 6}


def make_value(spec: DatasetSpec, rng: np.random.Generator):
    if spec.kind == "bytes":
        return rng.bytes(int(rng.integers(0, 3000)))
    if spec.kind == "text":
        return rng.choice(["", "a red ball", "ein grüner Würfel 立方体"]).item()
    shape = [int(axis) if axis.isdigit() else SIZES[axis] for axis in spec.axes[-1].split()]
    dtype = np.dtype(spec.dtypes[0])
    if dtype.kind == "u":
        return rng.integers(0, 65536, shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


def make_clip(schema: str, seed: int) -> dict:
    rng = np.random.default_rng(seed)
    return {name: make_value(spec, rng) for name, spec in SCHEMAS[schema].datasets.items()}


def assert_equal(got, expected) -> None:
    assert type(got) is type(expected)
    if isinstance(expected, np.ndarray):
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
    else:
        assert got == expected


def write_entities(path: Path, clips: int = 3, **options) -> list[dict]:
    arrays = [make_clip("entities", seed) for seed in range(clips)]
    with ShardWriter(path, "entities", {"seed": 1}, **options) as writer:
        for index, clip in enumerate(arrays):
            writer.add(f"clip{index}", clip, {"coverage": 0.5 + index})
    return arrays


@pytest.mark.parametrize("schema", sorted(SCHEMAS))
def test_every_schema_round_trips(tmp_path, schema):
    attrs = {**ATTRS.get(schema, {}), "checkpoints": {"a": "b"}, "seed": 3}
    clips = {f"{schema}/{seed}": make_clip(schema, seed) for seed in range(4)}
    path = tmp_path / "new" / "0.h5"
    with ShardWriter(path, schema, attrs) as writer:
        for index, (clip_id, arrays) in enumerate(clips.items()):
            writer.add(clip_id, arrays, {"entities": index})
        writer.reject("bad", "coverage 0.2 < 0.5", {"coverage": 0.2})
    with ShardReader(path) as shard:
        assert (shard.schema, shard.attrs, len(shard)) == (schema, attrs, 4)
        assert shard.clip_ids == list(clips)
        assert shard.scores == {clip_id: {"entities": float(i)} for i, clip_id in enumerate(clips)}
        assert shard.rejected == [{"clip_id": "bad", "reason": "coverage 0.2 < 0.5", "scores": {"coverage": 0.2}}]
        shard.verify()
        for index, (clip_id, read) in enumerate(shard.items()):
            assert list(read) == shard.names == list(SCHEMAS[schema].datasets)
            for name, value in clips[clip_id].items():
                assert_equal(read[name], value)
                assert_equal(shard.read(clip_id, name), value)
                assert_equal(shard.read_at(index, name), value)
    assert os.listdir(path.parent) == ["0.h5"]


def test_a_shard_of_rejected_clips_alone_is_a_shard(tmp_path):
    with ShardWriter(tmp_path / "0.h5", "depth") as writer:
        writer.reject("a", "unreadable")
    shard = ShardReader(tmp_path / "0.h5")
    shard.verify()
    assert len(shard) == 0 and list(shard.items()) == [] and shard.rejected[0]["scores"] == {}


def test_one_colouring_is_read_alone(tmp_path):
    arrays = make_clip("latents", 0)
    with ShardWriter(tmp_path / "0.h5", "latents", ATTRS["latents"]) as writer:
        writer.add("a", arrays)
    shard = ShardReader(tmp_path / "0.h5")
    np.testing.assert_array_equal(shard.read_at(0, "latents", part=2), arrays["latents"][2])
    with h5py.File(tmp_path / "0.h5", locking=False) as file:
        assert file["data/latents"].chunks[:2] == (1, 1)
    with pytest.raises(ValueError, match=r"part 3"):
        shard.read_at(0, "latents", part=3)


def test_items_reads_only_named_datasets(tmp_path):
    with ShardWriter(tmp_path / "0.h5", "clips", ATTRS["clips"]) as writer:
        writer.add("a", make_clip("clips", 0))
    assert [list(values) for _, values in ShardReader(tmp_path / "0.h5").items(["brief"])] == [["brief"]]


def test_equal_content_gives_equal_digests_and_files(tmp_path):
    write_entities(tmp_path / "a.h5")
    write_entities(tmp_path / "b.h5")
    write_entities(tmp_path / "c.h5", clips=4)
    a, b, c = (ShardReader(tmp_path / f"{name}.h5").sha256 for name in "abc")
    assert a == b != c
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_verify_names_the_damaged_clip(tmp_path):
    write_entities(tmp_path / "0.h5")
    with h5py.File(tmp_path / "0.h5", "r+") as file:
        file["data/entity_ids"][1, 0, 0, 0] ^= 1
    with pytest.raises(StorageError, match=r"'clip1'.*sha256"):
        ShardReader(tmp_path / "0.h5").verify()


@pytest.mark.parametrize("name", ["scores", "rejected", "clip_ids"])
def test_damaged_lists_are_refused_at_once(tmp_path, name):
    with ShardWriter(tmp_path / "0.h5", "depth") as writer:
        writer.add("a", make_clip("depth", 0), {"x": 1.0})
        writer.reject("b", "dark")
    with h5py.File(tmp_path / "0.h5", "r+") as file:
        file[name][0] = file[name].asstr()[0].replace("a", "z").replace("1", "2").replace("dark", "dim")
    with pytest.raises(StorageError, match=r"sha256"):
        ShardReader(tmp_path / "0.h5")


def test_an_exception_leaves_nothing_and_keeps_the_old_shard(tmp_path):
    write_entities(tmp_path / "0.h5", clips=2)
    with pytest.raises(RuntimeError), ShardWriter(tmp_path / "0.h5", "entities", {"seed": 1}) as writer:
        writer.add("new", make_clip("entities", 9))
        raise RuntimeError("stage failed")
    assert os.listdir(tmp_path) == ["0.h5"]
    assert ShardReader(tmp_path / "0.h5").clip_ids == ["clip0", "clip1"]


def interrupt(path: Path, clips: int = 2) -> None:
    """Leave a staging file of `clips` finished clips and one rejected."""
    with pytest.raises(KeyboardInterrupt), ShardWriter(path, "entities", {"seed": 1}, resume=True) as writer:
        for index in range(clips):
            writer.add(f"clip{index}", make_clip("entities", index), {"coverage": 0.5 + index})
        writer.reject("dark", "too dark")
        raise KeyboardInterrupt


def test_resume_repeats_no_finished_clip(tmp_path):
    interrupt(tmp_path / "0.h5")
    assert not (tmp_path / "0.h5").exists()
    with ShardWriter(tmp_path / "0.h5", "entities", {"seed": 1}, resume=True) as writer:
        assert writer.done == {"clip0", "clip1", "dark"}
        with pytest.raises(ValueError, match=r"twice"):
            writer.add("clip0", make_clip("entities", 0))
        writer.add("clip2", make_clip("entities", 2), {"coverage": 2.5})
    shard = ShardReader(tmp_path / "0.h5")
    shard.verify()
    write_entities(tmp_path / "whole.h5", clips=3)
    for clip_id, values in ShardReader(tmp_path / "whole.h5").items():
        assert_equal(shard.read(clip_id, "entity_ids"), values["entity_ids"])
    assert [entry["clip_id"] for entry in shard.rejected] == ["dark"]
    assert sorted(os.listdir(tmp_path)) == ["0.h5", "whole.h5"]


def test_resume_starts_again_when_the_attributes_differ(tmp_path):
    interrupt(tmp_path / "0.h5")
    with (
        pytest.warns(UserWarning, match=r"other attributes"),
        ShardWriter(tmp_path / "0.h5", "entities", {"seed": 2}, resume=True) as writer,
    ):
        assert writer.done == set()
    assert len(ShardReader(tmp_path / "0.h5")) == 0


def test_resume_keeps_the_whole_clips_of_a_damaged_file(tmp_path):
    interrupt(tmp_path / "0.h5", clips=3)
    with h5py.File(tmp_path / ".0.h5.partial", "r+") as file:
        file["data/entity_ids"][2, 0, 0, 0] ^= 1
    with (
        pytest.warns(UserWarning, match=r"damaged"),
        ShardWriter(tmp_path / "0.h5", "entities", {"seed": 1}, resume=True) as writer,
    ):
        assert writer.done == {"clip0", "clip1", "dark"}
    ShardReader(tmp_path / "0.h5").verify()


def test_resume_survives_garbage(tmp_path):
    (tmp_path / ".0.h5.partial").write_bytes(b"no HDF5 at all")
    with pytest.warns(UserWarning, match=r"damaged"):
        write_entities(tmp_path / "0.h5", resume=True)
    ShardReader(tmp_path / "0.h5").verify()


CHILD = """
import numpy as np
from udpdiff.storage.shards import ShardWriter
with ShardWriter({path!r}, "entities", {{"seed": 1}}, resume=True) as writer:
    print("open", len(writer.done), flush=True)
    for index in range(100_000):
        if f"clip{{index}}" not in writer.done:
            rng = np.random.default_rng(index)
            writer.add(f"clip{{index}}", {{"entity_ids": rng.integers(0, 9, (4, 32, 32)).astype(np.uint16)}})
            print(index, flush=True)
"""


def test_sigkill_at_any_moment_leaves_no_half_file_and_resumes(tmp_path):
    path, counts = tmp_path / "0.h5", []
    for delay_seconds in (0.05, 0.011, 0.073):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD.format(path=str(path))], stdout=subprocess.PIPE, text=True
        )
        counts.append(int(child.stdout.readline().split()[1]))
        for _ in range(3):  # each child gets somewhere, however busy the machine
            assert child.stdout.readline()
        time.sleep(delay_seconds)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
        child.stdout.close()
        assert not path.exists()
    with warnings.catch_warnings(action="ignore"), ShardWriter(path, "entities", {"seed": 1}, resume=True) as writer:
        counts.append(len(writer.done))
    assert counts[0] == 0 and counts == sorted(counts) and counts[-1] > 0
    shard = ShardReader(path)
    shard.verify()
    assert shard.clip_ids == [f"clip{index}" for index in range(counts[-1])]
    last = np.random.default_rng(counts[-1] - 1).integers(0, 9, (4, 32, 32)).astype(np.uint16)
    np.testing.assert_array_equal(shard.read_at(counts[-1] - 1, "entity_ids"), last)


def read_in_child(shard: ShardReader, queue) -> None:
    queue.put([int(shard.read_at(index, "entity_ids")[0, 0, 0]) for index in range(len(shard))])


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_read_an_open_shard(tmp_path, method):
    arrays = write_entities(tmp_path / "0.h5")
    shard = ShardReader(tmp_path / "0.h5")
    shard.read_at(0, "entity_ids")  # open in the parent
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    worker = context.Process(target=read_in_child, args=(shard, queue))
    worker.start()
    assert queue.get(timeout=60) == [int(clip["entity_ids"][0, 0, 0]) for clip in arrays]
    worker.join()
    assert worker.exitcode == 0
    shard.verify()


def test_a_pickled_reader_reads(tmp_path):
    write_entities(tmp_path / "0.h5")
    shard = ShardReader(tmp_path / "0.h5")
    shard.read_at(0, "entity_ids")
    pickle.loads(pickle.dumps(shard)).verify()


def test_one_type_for_all_clips_of_a_shard(tmp_path):
    latents = make_clip("latents", 0)["latents"]
    with ShardWriter(tmp_path / "0.h5", "latents", ATTRS["latents"]) as writer:
        writer.add("a", {"latents": latents})
        with pytest.raises(ValueError, match=r"float32.*expected float16"):
            writer.add("b", {"latents": latents.astype(np.float32)})


def test_the_rest_of_a_half_written_batch_is_unfinished(tmp_path):
    with ShardWriter(tmp_path / "0.h5", "entities") as writer:
        writer.add("a", make_clip("entities", 0))
        assert writer.unfinished(["a", "b", "c", "d", "e"], 2) == [["a", "b"], ["c", "d"], ["e"]]
        writer.reject("b", "dark")
        assert writer.unfinished(["a", "b", "c", "d", "e"], 2) == [["c", "d"], ["e"]]


BAD_CLIPS = {
    "dtype": ({"entity_ids": np.zeros((5, 6, 8), np.int64)}, "int64.*uint16.*astype"),
    "axes": ({"entity_ids": np.zeros((6, 8), np.uint16)}, r"\(6, 8\).*T H W"),
    "size": ({"entity_ids": np.zeros((5, 6, 9), np.uint16)}, "first clip"),
    "empty": ({"entity_ids": np.zeros((0, 6, 8), np.uint16)}, "none empty"),
    "unknown": ({**make_clip("entities", 0), "masks": b""}, r"remove \['masks'\]"),
    "missing": ({}, r"add \['entity_ids'\]"),
    "type": ({"entity_ids": [[1]]}, "got list, expected ndarray"),
}


@pytest.mark.parametrize("case", sorted(BAD_CLIPS))
def test_bad_clips_are_refused_and_leave_the_shard_whole(tmp_path, case):
    arrays, message = BAD_CLIPS[case]
    with ShardWriter(tmp_path / "0.h5", "entities") as writer:
        writer.add("first", make_clip("entities", 0))
        with pytest.raises(ValueError, match=message):
            writer.add("bad", arrays)
        writer.add("second", make_clip("entities", 1))
    shard = ShardReader(tmp_path / "0.h5")
    shard.verify()
    assert shard.clip_ids == ["first", "second"]


def test_sizes_of_one_clip_must_agree(tmp_path):
    arrays = make_clip("truth", 0)
    arrays["z"] = arrays["z"][:, :, 1:]
    with ShardWriter(tmp_path / "0.h5", "truth") as writer, pytest.raises(ValueError, match=r"along W"):
        writer.add("a", arrays)


@pytest.mark.parametrize("text", ["nul \0 inside", "\ud800"])
def test_text_that_cannot_be_stored_is_refused(tmp_path, text):
    with ShardWriter(tmp_path / "0.h5", "clips", ATTRS["clips"]) as writer:
        with pytest.raises(ValueError, match=r"'brief'.*without NUL"):
            writer.add("a", {**make_clip("clips", 0), "brief": text})
        writer.add("b", make_clip("clips", 1))
    ShardReader(tmp_path / "0.h5").verify()


def test_wrong_use_is_refused_clearly(tmp_path):
    with pytest.raises(ValueError, match=r"'masks'.*expected one of"):
        ShardWriter(tmp_path / "0.h5", "masks")
    with pytest.raises(ValueError, match=r"expected also.*fps"):
        ShardWriter(tmp_path / "0.h5", "clips")
    with pytest.raises(ValueError, match=r"json-able"):
        ShardWriter(tmp_path / "0.h5", "depth", {"path": tmp_path})
    with pytest.raises(ValueError, match=r"not open"):
        ShardWriter(tmp_path / "0.h5", "depth").reject("a", "b")
    with pytest.raises(FileNotFoundError, match=r"build it first"):
        ShardReader(tmp_path / "0.h5")
    (tmp_path / "0.h5").write_bytes(b"text")
    with pytest.raises(StorageError, match=r"cannot be read.*build it again: rm"):
        ShardReader(tmp_path / "0.h5")
    h5py.File(tmp_path / "1.h5", "w").close()
    with pytest.raises(StorageError, match=r"no complete shard"):
        ShardReader(tmp_path / "1.h5")


def test_wrong_reads_are_refused_clearly(tmp_path):
    with ShardWriter(tmp_path / "0.h5", "depth") as writer:
        writer.add("a", make_clip("depth", 0))
        writer.reject("b", "dark")
    shard = ShardReader(tmp_path / "0.h5")
    with pytest.raises(ValueError, match=r"'b'.*rejected .dark"):
        shard.read("b", "depth")
    with pytest.raises(ValueError, match=r"another shard"):
        shard.read("c", "depth")
    with pytest.raises(ValueError, match=r"got dataset 'z'.*depth"):
        shard.read("a", "z")
    with pytest.raises(ValueError, match=r"got index 1, expected 0 to 0"):
        shard.read_at(1, "depth")


def test_an_earlier_version_is_refused_with_the_command_that_removes_it(tmp_path):
    write_entities(tmp_path / "results/clips/0.h5")
    with h5py.File(tmp_path / "results/clips/0.h5", "r+") as file:
        file["header"][()] = file["header"].asstr()[()].replace('"version":2', '"version":1')
    with pytest.raises(
        StorageError, match=r"written by an earlier version; remove the folder `results` \(rm -r /.*/results\)"
    ):
        ShardReader(tmp_path / "results/clips/0.h5")


def test_digest_depends_on_content_alone():
    assert digest({"a": 1, "b": [1, "x", None]}) == digest({"b": [1, "x", None], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
    assert len(digest("")) == 64
    with pytest.raises(ValueError, match=r"finite"):
        digest({"a": float("nan")})
