"""Writes the card and the checksums of an exported data set."""

from __future__ import annotations

import argparse

from udpdiff import jobs
from udpdiff.panda_dense.card import write_card


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.DescribeDataSet.parse)
    parser.add_argument("--counts", required=True, nargs="+", help="the record of each archive")
    parser.add_argument("--quality", help="figures of the labels against truth, where there is one")
    parser.add_argument("--card", required=True)
    parser.add_argument("--checksums", required=True)
    arguments = parser.parse_args()
    write_card(arguments.job, arguments.counts, arguments.quality, arguments.card, arguments.checksums)


if __name__ == "__main__":
    main()
