"""Fills one table of the paper: our figures with their intervals beside the paper's, in columns of their own."""

from __future__ import annotations

import argparse
from pathlib import Path

from udpdiff.tables.fill import fill_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", required=True, type=int)
    parser.add_argument(
        "--measured", required=True, nargs="+", type=Path, help="quality.json, runtime.json of its runs"
    )
    parser.add_argument("--table", required=True, type=Path)
    arguments = parser.parse_args()
    fill_table(arguments.number, arguments.measured).to_csv(arguments.table, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
