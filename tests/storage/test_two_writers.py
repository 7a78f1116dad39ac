"""Two jobs on one shard, as two Snakemakes in one folder start them: real processes, real locks."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from udpdiff.locking import Held, Lock, NoLocks
from udpdiff.storage.errors import StorageError
from udpdiff.storage.shards import ShardReader, ShardWriter

CHILD = """
import sys, numpy as np
from udpdiff.storage.shards import ShardWriter
with ShardWriter(sys.argv[1], "entities", {"seed": 1}, resume=True) as writer:
    writer.add("clip0", {"entity_ids": np.full((2, 8, 8), 7, np.uint16)})
    print("open", flush=True)
    sys.stdin.readline()
"""


def start_writer(path: Path) -> subprocess.Popen:
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "open\n"
    return child


def ids(value: int) -> dict[str, np.ndarray]:
    return {"entity_ids": np.full((2, 8, 8), value, np.uint16)}


def test_a_second_writer_is_refused_and_harms_nothing(tmp_path):
    path = tmp_path / "0.h5"
    child = start_writer(path)
    with (
        pytest.raises(StorageError, match=rf"another job is writing it .*{child.pid}@"),
        ShardWriter(path, "entities", {"seed": 1}, resume=True),
    ):
        pass
    child.communicate("go on\n")
    assert child.returncode == 0 and ShardReader(path).clip_ids == ["clip0"]
    assert os.listdir(tmp_path) == ["0.h5"]


def test_a_killed_writer_leaves_its_clips_to_the_next(tmp_path):
    path = tmp_path / "0.h5"
    child = start_writer(path)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    with warnings.catch_warnings(action="ignore"), ShardWriter(path, "entities", {"seed": 1}, resume=True) as writer:
        assert writer.done == {"clip0"}
    assert os.listdir(tmp_path) == ["0.h5"]


def test_a_writer_that_cannot_open_gives_the_shard_free(tmp_path, monkeypatch):
    path = tmp_path / "0.h5"
    with monkeypatch.context() as patched:
        patched.setattr("udpdiff.storage.layout.create_file", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError), ShardWriter(path, "entities"):
            pass
    with ShardWriter(path, "entities") as writer:
        writer.add("clip0", ids(1))


def test_without_locks_each_writes_its_own_file(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(38, "Function not implemented")

    path = tmp_path / "0.h5"
    child = start_writer(path)
    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.warns(
        UserWarning, match=r"no locks \(flock: Function not implemented\).*nothing over.*mount with `flock`"
    ):
        writer = ShardWriter(path, "entities", {"seed": 1}, resume=True).__enter__()
    assert writer.done == set()
    writer.add("clip0", ids(7))
    writer.__exit__(None, None, None)
    first = path.read_bytes()
    child.communicate("go on\n")
    assert child.returncode == 0, "its own file was left alone"
    assert path.read_bytes() == first, "and holds the same"


def test_without_locks_killed_writers_of_this_machine_leave_nothing(tmp_path, monkeypatch):
    ended = subprocess.Popen(["true"])
    ended.wait()
    host = socket.gethostname()
    others = {
        f".0.h5.partial.{os.getppid()}@{host}",
        f".0.h5.partial.{ended.pid}@elsewhere",
        f".1.h5.partial.{ended.pid}@{host}",
    }
    for name in (*others, f".0.h5.partial.{ended.pid}@{host}"):
        (tmp_path / name).write_bytes(b"rows")
    monkeypatch.setattr("fcntl.flock", lambda *_: (_ for _ in ()).throw(OSError(38, "Function not implemented")))
    with pytest.warns(UserWarning, match="no locks"), ShardWriter(tmp_path / "0.h5", "entities") as writer:
        writer.add("clip0", ids(1))
    assert set(os.listdir(tmp_path)) == {"0.h5", ".0.h5.lock", *others}, "those that may still be written stay"


def test_a_lock_is_free_after_its_release_and_survives_a_race(tmp_path):
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    first.take()
    with pytest.raises(Held, match=rf"{os.getpid()}@"):
        second.take()
    first.release()
    second.take()
    assert (tmp_path / "lock").exists()
    second.release()
    assert not os.listdir(tmp_path)


def test_no_locks_is_not_taken_for_a_held_one(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(NoLocks, match="Operation not supported"):
        Lock(tmp_path / "lock").take()
