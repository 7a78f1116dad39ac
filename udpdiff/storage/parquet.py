"""Parquet tables that carry the digest of their rows, which is checked when they are read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from udpdiff.storage.errors import damaged, outdated, reading
from udpdiff.storage.files import written_file
from udpdiff.storage.schema import VERSION

if TYPE_CHECKING:
    import pandas

Rows = list[dict[str, Any]]


def write_table(path: str | Path, table: pandas.DataFrame) -> None:
    """Write a table of text and numbers with its digest, whole or not at all.

    Raises:
        StorageError: It cannot be written; an old one stays.
    """
    table.attrs = {"version": VERSION, "sha256": _digest(table.to_dict("records"))}
    with written_file(path) as staging:
        table.to_parquet(staging, index=False)


def read_table(path: str | Path) -> Rows:
    """Return the rows of a table that `write_table` wrote.

    Raises:
        FileNotFoundError: There is none.
        StorageError: The file is no such table, is damaged, or of an earlier version.
    """
    import pandas

    path = Path(path)
    with reading(path):
        table = pandas.read_parquet(path)
        if table.attrs.get("version") != VERSION:
            raise outdated(path)
        rows = table.to_dict("records")
        if _digest(rows) != table.attrs["sha256"]:
            raise damaged(path, "its rows are not what was written (sha256)")
    return rows


def _digest(rows: Rows) -> str:
    # Not `digest`: a number may be NaN.
    return hashlib.sha256(json.dumps(rows, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
