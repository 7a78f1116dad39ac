"""A name for the content of files that may be many and huge: each is read once, and again when its size or times change.

What was read is remembered in one file of the work folder, a line for each; to lose it costs another reading, no result.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from udpdiff.files import file_sha256
from udpdiff.progress import progress

UNREADABLE = "unreadable"
_THREADS = 4
# A file that was written a moment ago may be written again within the same tick of the clock.
_SETTLED_NS = 100_000_000
_TOLD_BYTES = 4 << 30

_Stamp = tuple[int, int, int]
_known: dict[str, tuple[_Stamp, str]] = {}
_memory: Path | None = None


def remember_in(path: Path | None) -> None:
    """Read what earlier processes noted in a file, once it is asked for, and note there what this one reads; None for none."""
    global _memory
    _memory = path
    _known.clear()


def content_digests(paths: Sequence[Path]) -> list[str]:
    """Return 64 hex digits for each file, the sha256 of its content; `UNREADABLE` for what is no readable file."""
    if _memory is not None and not _known:
        _known.update(_noted(_memory))
    names = [os.path.abspath(path) for path in paths]
    stamps = {name: _stamp(name) for name in names}
    new = [name for name, stamp in stamps.items() if stamp and _known.get(name, (None, ""))[0] != stamp]
    size = sum(stamps[name][0] for name in new)
    if size > _TOLD_BYTES:
        print(f"Reading {size / 1e9:.0f} GB in {len(new)} files, once, to know their content.", file=sys.stderr)
    with ThreadPoolExecutor(_THREADS) as threads:
        read = progress(threads.map(_digest, new), "files", len(new), shown=size > _TOLD_BYTES)
        found = {name: (stamps[name], digest) for name, digest in zip(new, read, strict=True)}
    settled = time.time_ns() - _SETTLED_NS
    kept = {name: known for name, known in found.items() if known[1] != UNREADABLE and max(known[0][1:]) < settled}
    _known.update(kept)
    _note(kept)
    return [(found.get(name) or _known[name])[1] if stamps[name] else UNREADABLE for name in names]


def folder_digest(folder: Path) -> str:
    """Return 12 hex digits of the names and the content of all files below a folder, or of a file."""
    files = sorted(each for each in folder.rglob("*") if each.is_file()) if folder.is_dir() else [folder]
    named = [(each.relative_to(folder).as_posix() if each != folder else "") for each in files]
    content = json.dumps(list(zip(named, content_digests(files), strict=True)))
    return hashlib.sha256(content.encode()).hexdigest()[:12]


def _stamp(name: str) -> _Stamp | None:
    """Size and times of a regular file; the time of its entry too, which nobody can set back."""
    try:
        found = os.stat(name)
    except OSError:
        return None
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns) if stat.S_ISREG(found.st_mode) else None


def _digest(name: str) -> str:
    try:
        return file_sha256(name)
    except OSError:
        return UNREADABLE


def _noted(memory: Path) -> dict[str, tuple[_Stamp, str]]:
    """What the file holds; a line that a killed process or two at once left broken is dropped."""
    noted = {}
    try:
        lines = memory.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    for line in lines:
        try:
            name, size, changed, entered, digest = json.loads(line)
            noted[name] = ((size, changed, entered), digest)
        except (ValueError, TypeError):
            continue
    return noted


def _note(found: dict[str, tuple[_Stamp, str]]) -> None:
    """Append lines in one write, which other processes' lines do not get into."""
    lines = [json.dumps([name, *stamp, digest]) + "\n" for name, (stamp, digest) in found.items()]
    if _memory is None or not lines:
        return
    try:
        _memory.parent.mkdir(parents=True, exist_ok=True)
        with open(_memory, "ab", buffering=0) as file:
            file.write("".join(lines).encode())
    except OSError as error:
        print(f"Cannot note what was read of {len(lines)} files in {_memory}: {error}", file=sys.stderr)
