"""Fills one table of the paper: our figures with their intervals beside the paper's, in columns of their own."""

from __future__ import annotations

import argparse
from pathlib import Path

from udpdiff.storage.files import written_file
from udpdiff.storage.sealed import seal_file
from udpdiff.tables.fill import fill_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", required=True, type=int)
    parser.add_argument(
        "--measured", required=True, nargs="+", type=Path, help="quality.json, runtime.json of its runs"
    )
    parser.add_argument("--table", required=True, type=Path)
    parser.add_argument("--digest", required=True, type=Path, help="of the table, for who reads it")
    arguments = parser.parse_args()
    table = fill_table(arguments.number, arguments.measured)
    with written_file(arguments.table) as staging:
        table.to_csv(staging, index=False, float_format="%.6g")
    seal_file(arguments.table, arguments.digest)


if __name__ == "__main__":
    main()
