"""Files that carry the digest of what was written: json records, any file with one beside it, folders that list theirs.

Each is checked when it is first read. Knows nothing of what they hold.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from udpdiff.files import file_sha256
from udpdiff.storage.errors import damaged, reading, writing
from udpdiff.storage.files import write_json, write_text

DIGESTS = "digests.json"
_SEAL = "content_sha256"
# Files whose digest this process has seen to be right: path, size and time of change.
_checked: set[tuple[str, int, int]] = set()


def write_record(path: str | Path, content: Mapping[str, Any]) -> None:
    """Write a json object with its digest as the last key, `content_sha256`, whole or not at all.

    Raises:
        StorageError: It cannot be written; an old one stays.
        TypeError: `content` is not json-able.
    """
    plain = json.loads(json.dumps(content))  # keys as text, tuples as lists: what a reader will see
    plain.pop(_SEAL, None)
    write_json(path, plain | {_SEAL: _seal(plain)})


def read_record(path: str | Path) -> dict[str, Any]:
    """Return what `write_record` wrote, without the digest.

    Raises:
        FileNotFoundError: There is none.
        StorageError: It is not what was written.
    """
    path = Path(path)
    with reading(path):
        content = json.loads(path.read_text(encoding="utf-8"))
        written = content.pop(_SEAL, None) if isinstance(content, dict) else None
        if written is None:
            raise damaged(path, "it lacks its digest: damaged, or written by an earlier version or another program")
        if written != _seal(content):
            raise damaged(path, "its content is not what was written (sha256)")
    return content


def seal_file(path: str | Path, digest: str | Path) -> None:
    """Write the digest of a finished file, as `sha256sum --check` reads it, to a file beside it, named `path`.sha256.

    Raises:
        StorageError: It cannot be written.
    """
    write_text(digest, f"{file_sha256(path)}  {Path(path).name}\n")


def check_file(path: str | Path) -> None:
    """Compare a file with the digest beside it, once in a process.

    Raises:
        FileNotFoundError: There is no such file.
        StorageError: The file, or the digest, is not what was written.
    """
    path = Path(path)
    beside = path.with_name(f"{path.name}.sha256")
    words = beside.read_text(errors="replace").split() if beside.is_file() else []
    _check(path, words[0] if words else None, path)


def seal_folder(folder: Path, pattern: str = "*") -> None:
    """Write the digests of a finished folder's files, by default of all, to `digests.json` in it.

    Raises:
        StorageError: It cannot be written.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob(pattern) if path.is_file())
    with writing(folder):
        digests = {name: file_sha256(folder / name) for name in names if name != DIGESTS}
    write_record(folder / DIGESTS, {"files": digests})


def check_folder(folder: str | Path, parts: Sequence[str]) -> dict[str, str]:
    """Compare files of a folder with the digests that were listed, each file once in a process.

    Args:
        folder: That `seal_folder` was called for.
        parts: Names of files, and of folders with all that they hold; those that the folder never had are passed over.

    Returns:
        Name -> sha256 (hex) of these files.

    Raises:
        StorageError: A file, or the list, is missing or not what was written.
    """
    folder = Path(folder)
    if not (folder / DIGESTS).is_file():
        raise damaged(folder / DIGESTS, "it is missing: the digests of the folder's files", folder)
    listed = read_record(folder / DIGESTS)["files"]
    files = {name: value for name, value in listed.items() if name.split("/")[0] in parts}
    for name, expected in files.items():
        if not (folder / name).is_file():
            raise damaged(folder / name, "it is missing", folder)
        _check(folder / name, expected, folder)
    return files


def _check(path: Path, expected: str | None, made: Path) -> None:
    found = os.stat(path)
    key = (str(path.absolute()), found.st_size, found.st_mtime_ns)
    if key in _checked:
        return
    with reading(path):
        if file_sha256(path) != expected:
            raise damaged(path, "it is not what was written (sha256), or its digest is not there", made)
    _checked.add(key)


def _seal(content: Mapping[str, Any]) -> str:
    # Not `digest`: a figure may be NaN.
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
