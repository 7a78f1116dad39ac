"""A folder that appears whole or not at all, and stays through a power cut."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replace_folder(path: str | Path) -> Iterator[Path]:
    """Yields an empty folder beside `path`, to be filled; on a clean exit it takes `path`'s place, on an error it goes.

    Whoever reads `path` sees the old folder or the new one. Files become readable as the user's umask says, since some
    writers keep weights private to their user.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh, stale = (path.with_name(f".{path.name}.{kind}") for kind in ("new", "old"))
    if stale.exists() and not path.exists():  # a writer was killed between the two renames below
        stale.rename(path)
    for leftover in (fresh, stale):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh.mkdir()
    try:
        yield fresh
        readable = fresh.stat().st_mode & 0o666
        for child in fresh.rglob("*"):
            if child.is_file():
                child.chmod(readable)
            fsync(child)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    if path.exists():
        path.rename(stale)
    fresh.rename(path)
    shutil.rmtree(stale, ignore_errors=True)
    fsync(path.parent)


def fsync(path: Path) -> None:
    """Flush a file, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
