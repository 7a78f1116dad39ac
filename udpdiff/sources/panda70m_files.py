"""From Panda-70M's table to the files of a sample: the chosen clips, and the records that are not well formed.

Such records are listed with their number and the reason; nothing in them is evaluated.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from udpdiff.jobs import ChooseClips
from udpdiff.progress import progress
from udpdiff.sources.panda70m_sample import choose_clips
from udpdiff.sources.panda70m_table import PandaVideo, RejectedRow, read_table
from udpdiff.storage.files import written_file
from udpdiff.storage.parquet import write_table


def write_sample(
    job: ChooseClips, table_path: str | Path, chosen_path: str | Path, rejected_path: str | Path
) -> dict[str, int]:
    """Choose clips in one pass over the table.

    Args:
        job: How many, and by which gates.
        table_path: A csv, or a zip that holds one.
        chosen_path: Parquet table: split and the fields of `WantedClip`; noted beside them is what this returns.
        rejected_path: csv: record, reason.

    Returns:
        Records and clips by what became of them.

    Raises:
        ValueError: The file is no such table, or fewer clips pass the gates than are asked for.
        StorageError: A file cannot be written.
    """
    import pandas as pd

    rejected: list[RejectedRow] = []
    sample = choose_clips(_noted(progress(read_table(table_path), "records"), rejected), job)
    with written_file(rejected_path) as staging, open(staging, "w", newline="", encoding="utf-8") as file:
        rows = [[row.number, row.reason] for row in rejected]
        csv.writer(file).writerows([["record", "reason"], *rows])
    chosen = [{"split": split} | asdict(clip) for split in ("train", "evaluation") for clip in getattr(sample, split)]
    write_table(chosen_path, pd.DataFrame(chosen), sample.counts)
    return sample.counts


def _noted(rows: Iterable[PandaVideo | RejectedRow], rejected: list[RejectedRow]) -> Iterator[PandaVideo | RejectedRow]:
    """Pass on all records, and list those that are not well formed."""
    for row in rows:
        if isinstance(row, RejectedRow):
            rejected.append(row)
        yield row
