"""Refuses splits of too few clips once all clips are there, with the reasons why the others are not."""

from __future__ import annotations

import argparse

from udpdiff.sources.enough_clips import check_clips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--summaries", required=True, nargs="+", help="of all shards of clips of both splits")
    parser.add_argument("--checked", required=True)
    arguments = parser.parse_args()

    for split, count in check_clips(arguments.summaries, arguments.checked).items():
        print(f"{split}: {count} clips")


if __name__ == "__main__":
    main()
