"""Captions of a shard as a parquet table: a row per clip with both captions, as a model reads them and, where that cut
them, whole, where each came from and how long it is.

Knows nothing of how captions are made, nor of tokenizers.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from udpdiff.files import staging_path
from udpdiff.storage.digests import canonical_json, digest
from udpdiff.storage.errors import damaged, outdated, writing
from udpdiff.storage.parquet import read_table, write_table
from udpdiff.storage.schema import VERSION

KINDS = ("brief", "detailed")
_WHOLE = tuple(f"{kind}_whole" for kind in KINDS)
_TEXTS = ("clip_id", *KINDS, *_WHOLE, *(f"{kind}_source" for kind in KINDS), "prompt", "rejected")
_COUNTS = tuple(f"{kind}_{count}" for kind in KINDS for count in ("tokens", "cut_tokens"))
COLUMNS = (*_TEXTS, *_COUNTS)


@dataclass(frozen=True)
class Caption:
    """One caption of a clip.

    Attributes:
        text: The words.
        source: Where they came from.
        tokens: How long they are.
        cut_tokens: How much longer they were at their source.
        whole: The words at their source, where they were cut; else empty.
    """

    text: str
    source: str
    tokens: int
    cut_tokens: int = 0
    whole: str = ""


class CaptionWriter:
    """Context manager that writes one table, whole or not at all.

    Args:
        path: Where the table will stand.
        attrs: Json-able facts about how it is made.

    Attributes:
        done: Ids of the finished clips, those included that an earlier writer with the same attrs finished before it
            was stopped, for every row goes at once to a hidden file beside the table.
    """

    def __init__(self, path: str | Path, attrs: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.done: set[str] = set()
        self._staging = staging_path(self.path, "partial")
        self._header = canonical_json({"version": VERSION, "columns": COLUMNS, "attrs": dict(attrs)})
        self._rows: list[dict[str, Any]] = []

    def __enter__(self) -> CaptionWriter:
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            kept = self._read_staging()
            fresh = staging_path(self.path, "partial.copy")
            self._file = fresh.open("w", encoding="utf-8")
            self._file.write(self._header + "\n")
            for row in kept:
                self._append(row)
            os.replace(fresh, self._staging)
        return self

    def add(self, clip_id: str, brief: Caption, detailed: Caption, prompt: str | None = None) -> None:
        """Write one clip; prompt: what a detailed prompt for such a video says, where it is not the detailed caption.

        Raises:
            ValueError: The id is there already.
            StorageError: It cannot be written.
        """
        row: dict[str, Any] = {
            "clip_id": clip_id,
            "prompt": detailed.text if prompt is None else prompt,
            "rejected": "",
        }
        for kind, caption in zip(KINDS, (brief, detailed), strict=True):
            row |= {kind: caption.text, f"{kind}_whole": caption.whole, f"{kind}_source": caption.source}
            row |= {f"{kind}_tokens": caption.tokens, f"{kind}_cut_tokens": caption.cut_tokens}
        self._append(row)

    def reject(self, clip_id: str, reason: str) -> None:
        """List a clip as left out, with the reason; raises as `add` does."""
        empty = dict.fromkeys(_TEXTS, "") | dict.fromkeys(_COUNTS, 0)
        self._append(empty | {"clip_id": clip_id, "rejected": reason})

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with writing(self.path):
            self._file.close()
        if kind is None:
            write_captions(self.path, self._rows)
            self._staging.unlink()

    def _append(self, row: dict[str, Any]) -> None:
        if row["clip_id"] in self.done:
            raise ValueError(f"Clip id {row['clip_id']!r}: got it twice, expected each once; skip the ids in done.")
        with writing(self.path):
            self._file.write(f"{digest(row)} {json.dumps(row)}\n")
            self._file.flush()
        self.done.add(row["clip_id"])
        self._rows.append(row)

    def _read_staging(self) -> list[dict[str, Any]]:
        if not self._staging.exists():
            return []
        header, *lines = self._staging.read_text(encoding="utf-8", errors="replace").split("\n")
        if header != self._header:
            warnings.warn(f"{self._staging}: written with other attributes; starting again.", stacklevel=3)
            return []
        # What follows the last line break was being written when the writer was stopped; what the disk damaged is made again.
        return [row for row in map(_whole_row, lines[:-1]) if row]


def _whole_row(line: str) -> dict[str, Any] | None:
    """Return the row of a line of the hidden file; None where the line is not what was written."""
    written, _, text = line.partition(" ")
    try:
        row = json.loads(text)
        return row if digest(row) == written else None
    except ValueError:
        return None


def write_captions(path: str | Path, rows: list[dict[str, Any]]) -> None:
    """Write rows of COLUMNS with their digest, whole or not at all.

    Raises:
        StorageError: The table cannot be written.
    """
    import pandas as pd

    kinds = dict.fromkeys(_TEXTS, "string") | dict.fromkeys(_COUNTS, "int64")
    write_table(path, pd.DataFrame(rows, columns=list(COLUMNS)).astype(kinds))


def read_captions(paths: list[str | Path]) -> dict[str, dict[str, Any]]:
    """Return clip_id -> the other columns, over all tables in order, rejected clips left out.

    Raises:
        StorageError: A file is no such table, is damaged, or of an earlier version.
    """
    return read_captions_and_rejections(paths)[0]


def read_rejections(paths: list[str | Path]) -> dict[str, str]:
    """Return clip_id -> the reason why the clip was left out; raises as `read_captions` does."""
    return read_captions_and_rejections(paths)[1]


def read_captions_and_rejections(paths: list[str | Path]) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Return what `read_captions` and `read_rejections` do, each table read and checked once; raises likewise."""
    captions: dict[str, dict[str, Any]] = {}
    rejections: dict[str, str] = {}
    for row in _read_rows(paths):
        clip_id = row.pop("clip_id")
        if row["rejected"]:
            rejections[clip_id] = row["rejected"]
        else:
            captions[clip_id] = row
    return captions, rejections


def whole_caption(row: Mapping[str, Any], kind: str) -> str:
    """Return the brief or detailed caption of a row of `read_captions` as its source gave it, longer than a model reads or not."""
    return row[f"{kind}_whole"] or row[kind]


def check_whole(path: str | Path) -> None:
    """Raise a StorageError for a table whose captions were cut and whose whole ones were not kept, as earlier versions did."""
    for row in _read_rows([path]):
        if any(row[f"{kind}_cut_tokens"] and not row[f"{kind}_whole"] for kind in KINDS):
            raise damaged(Path(path), "captions were cut by an earlier version, which did not keep the whole ones")


def _read_rows(paths: list[str | Path]) -> Iterator[dict[str, Any]]:
    for path in paths:
        for row in read_table(path):
            row = dict.fromkeys(_WHOLE, "") | row  # which tables of earlier versions lack, and models do without
            if row.keys() != set(COLUMNS):
                raise outdated(Path(path))
            yield row
