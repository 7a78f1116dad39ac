"""Fills one table of the paper, ours and the paper's in columns of their own, and compares its rows with each other."""

from __future__ import annotations

import argparse
from pathlib import Path

from udpdiff import jobs
from udpdiff.figure_record import Basis, figure_record
from udpdiff.storage.files import written_file
from udpdiff.storage.sealed import read_record, seal_file, write_record
from udpdiff.tables.comparisons import compare_table
from udpdiff.tables.fill import fill_table
from udpdiff.tables.measured import read_measurements


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", required=True, type=int)
    parser.add_argument("--job", required=True, type=jobs.FillTable.parse)
    parser.add_argument(
        "--measured", required=True, nargs="+", type=Path, help="quality.json, runtime.json of its runs"
    )
    parser.add_argument("--table", required=True, type=Path)
    parser.add_argument("--digest", required=True, type=Path, help="of the table, for who reads it")
    parser.add_argument("--comparisons", required=True, type=Path, help="json, of every row with every other")
    arguments = parser.parse_args()

    measured = read_measurements(arguments.measured)
    options = {"bootstrap_samples": arguments.job.bootstrap_samples, "seed": arguments.job.seed}
    comparisons = compare_table(arguments.number, measured, **options)
    table = fill_table(arguments.number, measured, comparisons)
    bases = map(Basis.of_document, map(read_record, arguments.measured))
    record = figure_record(*bases, Basis(seeds={"tests": [arguments.job.seed]}), measured=arguments.measured)
    write_record(arguments.comparisons, {"table": arguments.number, "comparisons": comparisons} | record)
    with written_file(arguments.table) as staging:
        table.to_csv(staging, index=False, float_format="%.6g")
    seal_file(arguments.table, arguments.digest)


if __name__ == "__main__":
    main()
