"""Whether results are those of the undisturbed run: what was measured by the clock, and where, may differ, nothing else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from udpdiff.storage.shards import ShardReader
from udpdiff.video_io import decode_mp4

# Of provenance and cost.
_BY_THE_CLOCK = re.compile(
    r"(^|[._])(seconds|started|command|sessions|deadline|hardware|provenance|commit|dirty|rss\w*|peak\w*|per_second|compute_share|content_sha256)($|[._])"
)


def differences(expected: Path, got: Path) -> list[str]:
    """Return what of a file or folder is not what it should be, in words; nothing where all is."""
    if not got.exists():
        return [f"{got} is missing"]
    if expected.is_dir():
        # Snakemake marks folders with a hidden file.
        names = {path.relative_to(folder) for folder in (expected, got) for path in folder.rglob("*") if path.is_file()}
        names = {name for name in names if not name.name.startswith(".")}
        return [fault for name in sorted(names) for fault in differences_of_files(expected / name, got / name)]
    return differences_of_files(expected, got)


def differences_of_files(expected: Path, got: Path) -> list[str]:
    """The same for two files, one of which may be missing."""
    if not (expected.exists() and got.exists()):
        return [f"{got} is {'missing' if expected.exists() else 'too many'}"]
    if expected.suffix == ".h5":
        return _differences_of_shards(expected, got)
    if expected.name in ("provenance.json", "digests.json"):  # and the digest of the former in the latter
        return []
    if expected.suffix == ".mp4":
        return [] if _look_alike(expected, got) else [f"{got} shows something else than {expected}"]
    read = _READERS.get(expected.suffix, Path.read_bytes)
    return [] if read(expected) == read(got) else [f"{got} is another than {expected}"]


def steady(content: Any) -> Any:
    """What of a json does not come from the clock."""
    if isinstance(content, dict):
        return {name: steady(value) for name, value in content.items() if not _BY_THE_CLOCK.search(name)}
    return [steady(each) for each in content] if isinstance(content, list) else content


def _differences_of_shards(expected: Path, got: Path) -> list[str]:
    with ShardReader(expected) as first, ShardReader(got) as second:
        second.verify()
        return [] if first.sha256 == second.sha256 else [f"{got} has another content than {expected}"]


def _page(path: Path) -> tuple[list[str], list[str]]:
    """The words and the addresses of a page, without its numbers, some of which are times."""
    text = path.read_text()
    return re.findall(r"[^\W\d]+", re.sub(r"<[^>]*>", " ", text)), sorted(re.findall(r'(?:src|href)="([^"]*)"', text))


def _drawing(path: Path) -> str:
    """A drawing without the names that matplotlib draws at random."""
    return re.sub(r"\b[mp][0-9a-f]{10}\b", "", path.read_text())


def _look_alike(expected: Path, got: Path) -> bool:
    """Whether films of the report show the same: an encoder may decide otherwise for no reason that we know of."""
    first, second = decode_mp4(expected), decode_mp4(got)
    return first.shape == second.shape and float(np.abs(first.astype(np.int16) - second).mean()) < 3.0


def _lines(path: Path) -> list[Any]:
    return [steady(json.loads(line)) for line in path.read_text().splitlines()]


_READERS = {
    ".json": lambda path: steady(json.loads(path.read_text())),
    ".jsonl": _lines,
    ".html": _page,
    ".svg": _drawing,
}
