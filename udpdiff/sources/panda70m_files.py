"""From Panda-70M's table to the files of a sample: the chosen clips, and the records that are not well formed.

Such records are listed with their number and the reason; nothing in them is evaluated.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from udpdiff.files import replaced_file
from udpdiff.jobs import ChooseClips
from udpdiff.progress import progress
from udpdiff.sources.panda70m_sample import choose_clips
from udpdiff.sources.panda70m_table import PandaVideo, RejectedRow, read_table


def write_sample(
    job: ChooseClips, table_path: str | Path, chosen_path: str | Path, rejected_path: str | Path
) -> dict[str, int]:
    """Choose clips in one pass over the table.

    Args:
        job: How many, and by which gates.
        table_path: A csv, or a zip that holds one.
        chosen_path: Parquet table: split and the fields of `WantedClip`.
        rejected_path: csv: record, reason.

    Returns:
        Records and clips by what became of them.

    Raises:
        ValueError: The file is no such table, or fewer clips pass the gates than are asked for.
    """
    import pandas as pd

    with replaced_file(rejected_path) as staging, open(staging, "w", newline="", encoding="utf-8") as file:
        sample = choose_clips(_listed(progress(read_table(table_path), "records"), file), job)
    chosen = [{"split": split} | asdict(clip) for split in ("train", "evaluation") for clip in getattr(sample, split)]
    with replaced_file(chosen_path) as staging:
        pd.DataFrame(chosen).to_parquet(staging, index=False)
    return sample.counts


def _listed(rows: Iterable[PandaVideo | RejectedRow], file: TextIO) -> Iterator[PandaVideo | RejectedRow]:
    """Pass on all records, and write those that are not well formed."""
    writer = csv.writer(file)
    writer.writerow(["record", "reason"])
    for row in rows:
        if isinstance(row, RejectedRow):
            writer.writerow([row.number, row.reason])
        yield row
