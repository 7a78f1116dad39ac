"""Joins the means that the shards of one labeller keep, for the constant control of comparisons."""

from __future__ import annotations

import argparse

from udpdiff.storage.means import write_mean


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", required=True, nargs="+", help="all shards of the training split")
    parser.add_argument("--mean", required=True)
    arguments = parser.parse_args()

    write_mean(arguments.labels, arguments.mean)


if __name__ == "__main__":
    main()
