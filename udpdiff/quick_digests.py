"""A name for the content of a file or folder that may be huge, without reading all of it."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache
from pathlib import Path

_SMALL_BYTES = 1 << 20
_END_BYTES = 1 << 16


@lru_cache
def quick_digest(path: Path) -> str:
    """Return 12 hex digits of names and sizes, of small files' content, and of both ends of big ones.

    Every start of the workflow asks for it, of gigabytes. The middle of a big file may change unnoticed; the place and
    the time of a file say nothing.

    Args:
        path: A file, or a folder with all below it.
    """
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    total = hashlib.sha256()
    for file in files:
        name = file.relative_to(path).as_posix() if path.is_dir() else ""
        total.update(f"{name}\0{file.stat().st_size}\0".encode() + hashlib.sha256(_ends(file)).digest())
    return total.hexdigest()[:12]


def _ends(path: Path) -> bytes:
    with path.open("rb") as file:
        if path.stat().st_size <= _SMALL_BYTES:
            return file.read()
        first = file.read(_END_BYTES)
        file.seek(-_END_BYTES, os.SEEK_END)
        return first + file.read()
