"""Small files and whole folders of results, written as `udpdiff.files` does; a failing write is a StorageError."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from udpdiff.files import fsync, publish, replaced_file, staging_path
from udpdiff.storage.errors import writing


@contextmanager
def written_file(path: str | Path) -> Iterator[Path]:
    """Give a hidden name to write to, which takes the place of `path` on a clean exit.

    Raises:
        StorageError: It cannot be written; an old file stays.
    """
    with writing(Path(path)), replaced_file(path) as staging:
        yield staging


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 file, whole or not at all.

    Raises:
        StorageError: It cannot be written; an old one stays.
    """
    with written_file(path) as staging:
        staging.write_text(text, encoding="utf-8")


def append_line(path: str | Path, text: str) -> None:
    """Append one line to a UTF-8 file; a line before it that was cut short stays a line of its own.

    Raises:
        StorageError: It cannot be written; part of the line may have been.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+") as file:
            cut = file.tell() > 0 and file.seek(-1, os.SEEK_END) >= 0 and file.read(1) != b"\n"
            file.write(b"\n" * cut + text.encode() + b"\n")


def write_json(path: str | Path, content: Any) -> None:
    """Write readable JSON, numbers in full, as `write_text` does.

    Raises:
        StorageError: It cannot be written; an old one stays.
        TypeError: `content` is not json-able.
    """
    write_text(path, json.dumps(content, indent=1) + "\n")


@contextmanager
def replace_folder(path: str | Path) -> Iterator[Path]:
    """Give an empty folder beside `path` to fill, which takes `path`'s place on a clean exit and goes on an error.

    Whoever reads `path` sees the old folder or the new one, or none between two renames; if the writer is killed there, the
    next one puts the old folder back. Files become readable as the user's umask says, since some writers keep weights
    private to their user.

    Raises:
        StorageError: It cannot be written; the old folder stays.
    """
    path = Path(path)
    fresh, stale = staging_path(path, "new"), staging_path(path, "old")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        if stale.exists() and not path.exists():  # a writer was killed between the two renames below
            stale.rename(path)
        for leftover in (fresh, stale):
            shutil.rmtree(leftover, ignore_errors=True)
        fresh.mkdir()
    try:
        yield fresh
        with writing(path):
            readable = fresh.stat().st_mode & 0o666
            for child in fresh.rglob("*"):
                if child.is_file():
                    child.chmod(readable)
                fsync(child)
            _exchange(fresh, path, stale)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    shutil.rmtree(stale, ignore_errors=True)


def _exchange(fresh: Path, path: Path, stale: Path) -> None:
    """Bring `fresh` to `path`, and the folder that stood there to `stale`; on an error both are where they were."""
    replaced = path.exists()
    if replaced:
        path.rename(stale)
    try:
        publish(fresh, path)
    except BaseException:
        if path.exists():
            path.rename(fresh)
        if replaced:
            stale.rename(path)
        raise
