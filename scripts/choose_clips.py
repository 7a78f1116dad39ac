"""Chooses the clips of Panda-70M: a seeded uniform sample of those that pass the gates, in one pass over the table."""

from __future__ import annotations

import argparse

from udpdiff import jobs
from udpdiff.sources.panda70m_files import write_sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.ChooseClips.parse)
    parser.add_argument("--table", required=True, help="csv, or a zip that holds one")
    parser.add_argument("--chosen", required=True)
    parser.add_argument("--rejected", required=True, help="csv of the records that are not well formed")
    arguments = parser.parse_args()

    counts = write_sample(arguments.job, arguments.table, arguments.chosen, arguments.rejected)
    for what, count in sorted(counts.items()):
        print(f"{what}: {count}")


if __name__ == "__main__":
    main()
