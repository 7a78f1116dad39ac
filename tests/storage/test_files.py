import errno
import os

import pytest

from udpdiff.storage.errors import StorageError
from udpdiff.storage.files import replace_folder


def _write(path, name):
    with replace_folder(path) as folder:
        (folder / "deeper").mkdir()
        (folder / "deeper" / name).write_text(name)


def _files(path):
    return [file.name for file in path.rglob("*") if file.is_file()]


def test_replaced_folder_holds_only_the_new_files(tmp_path):
    _write(tmp_path / "made" / "folder", "old")
    _write(tmp_path / "made" / "folder", "new")
    assert _files(tmp_path / "made" / "folder") == ["new"]
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["folder"]


def test_failed_write_leaves_the_old_folder(tmp_path):
    _write(tmp_path / "folder", "old")
    with pytest.raises(RuntimeError, match="full"), replace_folder(tmp_path / "folder") as folder:
        (folder / "new").write_text("half")
        raise RuntimeError("disk is full")
    assert _files(tmp_path) == ["old"]


@pytest.mark.parametrize("place", [".folder.new", "results"])
def test_a_disk_that_fails_while_folders_are_exchanged_leaves_the_old_one(tmp_path, monkeypatch, place):
    def failing(path):
        if path.name == place:
            raise OSError(errno.EIO, "Input/output error")

    _write(tmp_path / "results" / "folder", "old")
    monkeypatch.setattr("udpdiff.files.fsync", failing)
    with pytest.raises(StorageError, match="Input/output error"):
        _write(tmp_path / "results" / "folder", "new")
    assert _files(tmp_path) == ["old"] and os.listdir(tmp_path / "results") == ["folder"]


def test_writer_killed_between_its_renames_loses_nothing(tmp_path):
    _write(tmp_path / "folder", "old")
    (tmp_path / "folder").rename(tmp_path / ".folder.old")
    with pytest.raises(RuntimeError), replace_folder(tmp_path / "folder"):
        raise RuntimeError
    assert _files(tmp_path / "folder") == ["old"]


def test_private_files_become_readable(tmp_path):
    with replace_folder(tmp_path / "folder") as folder:
        (folder / "weights").write_text("")
        (folder / "weights").chmod(0o600)
    assert (tmp_path / "folder" / "weights").stat().st_mode == (tmp_path / "folder").stat().st_mode & 0o666 | 0o100000
