"""Parquet tables that carry the digest of their rows, which is checked when they are read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from udpdiff.storage.errors import damaged, outdated, reading
from udpdiff.storage.files import written_file
from udpdiff.storage.schema import VERSION

if TYPE_CHECKING:
    import pandas

Rows = list[dict[str, Any]]


def write_table(path: str | Path, table: pandas.DataFrame, notes: Mapping[str, Any] | None = None) -> None:
    """Write a table of text and numbers with its digest, whole or not at all.

    Args:
        path: The file.
        table: Its rows.
        notes: What else is to be known of it, json-able.

    Raises:
        StorageError: It cannot be written; an old one stays.
    """
    rows = table.to_dict("records")
    table.attrs = {"version": VERSION, "sha256": _digest(rows, notes)} | ({"notes": dict(notes)} if notes else {})
    with written_file(path) as staging:
        table.to_parquet(staging, index=False)


def read_table(path: str | Path) -> Rows:
    """Return the rows of a table that `write_table` wrote.

    Raises:
        FileNotFoundError: There is none.
        StorageError: The file is no such table, is damaged, or of an earlier version.
    """
    return read_notes(path)[0]


def read_notes(path: str | Path) -> tuple[Rows, dict[str, Any]]:
    """Return the rows of a table and what else was noted of it, nothing in tables of earlier versions; raises as `read_table`."""
    import pandas

    path = Path(path)
    with reading(path):
        table = pandas.read_parquet(path)
        if table.attrs.get("version") != VERSION:
            raise outdated(path)
        rows, notes = table.to_dict("records"), table.attrs.get("notes", {})
        if _digest(rows, notes) != table.attrs["sha256"]:
            raise damaged(path, "its rows are not what was written (sha256)")
    return rows, notes


def _digest(rows: Rows, notes: Mapping[str, Any] | None) -> str:
    # Not `digest`: a number may be NaN.
    content = [rows, dict(notes)] if notes else rows
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
