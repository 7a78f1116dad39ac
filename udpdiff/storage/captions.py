"""Captions of a shard as a parquet table: clip_id, brief, detailed, and where each came from."""

from __future__ import annotations

import os
from pathlib import Path

COLUMNS = ("clip_id", "brief", "detailed", "brief_source", "detailed_source")


def write_captions(path: str | Path, rows: list[dict[str, str]]) -> None:
    """Writes the table to a temporary name and renames it."""
    import pandas as pd

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.writing")
    pd.DataFrame(rows, columns=list(COLUMNS)).astype("string").to_parquet(temporary, index=False)
    os.replace(temporary, path)


def read_captions(paths: list[str | Path]) -> dict[str, dict[str, str]]:
    """clip_id -> the other columns, over all tables in order.

    Raises: ValueError when a file is not such a table.
    """
    import pandas as pd

    captions = {}
    for path in paths:
        table = pd.read_parquet(path)
        missing = set(COLUMNS) - set(table.columns)
        if missing:
            raise ValueError(f"{path}: got columns {list(table.columns)}, expected {list(COLUMNS)}; write it anew")
        for row in table.to_dict("records"):
            captions[row["clip_id"]] = {name: row[name] for name in COLUMNS[1:]}
    return captions
