"""Chooses the clips of Panda-70M: a seeded uniform sample of those that pass the gates, in one pass over the table.

Records that are not well formed are listed with their number and the reason; nothing in them is evaluated.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from udpdiff.progress import progress
from udpdiff.sources.panda70m_sample import Gates, choose_clips
from udpdiff.sources.panda70m_table import PandaVideo, RejectedRow, read_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, help="json: seed, clips, panda70m")
    parser.add_argument("--table", required=True, help="csv, or a zip that holds one")
    parser.add_argument("--chosen", required=True)
    parser.add_argument("--rejected", required=True, help="csv of the records that are not well formed")
    arguments = parser.parse_args()

    import pandas as pd

    told = arguments.settings
    clips, panda = told["clips"], told["panda70m"]
    gates = Gates(min_seconds=clips["num_frames"] / clips["fps"], **panda["gates"])
    with open(arguments.rejected, "w", newline="", encoding="utf-8") as file:
        rows = list_rejected(progress(read_table(arguments.table), "records"), file)
        sample = choose_clips(rows, gates, clips["train"], clips["evaluation"], told["seed"], panda["reserve"])
    for what, count in sorted(sample.counts.items()):
        print(f"{what}: {count}")
    splits = {"train": sample.train, "evaluation": sample.evaluation}
    chosen = [{"split": split} | asdict(clip) for split, wanted in splits.items() for clip in wanted]
    pd.DataFrame(chosen).to_parquet(arguments.chosen, index=False)


def list_rejected(rows: Iterable[PandaVideo | RejectedRow], file) -> Iterator[PandaVideo | RejectedRow]:
    """Pass on all records, and write those that were not taken as csv: record, reason."""
    writer = csv.writer(file)
    writer.writerow(["record", "reason"])
    for row in rows:
        if isinstance(row, RejectedRow):
            writer.writerow([row.number, row.reason])
        yield row


if __name__ == "__main__":
    main()
