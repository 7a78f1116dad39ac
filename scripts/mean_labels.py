"""Joins the means of all shards of one labeller, for the constant control of comparisons."""

from __future__ import annotations

import argparse

from udpdiff.storage.means import join_means


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--means", required=True, nargs="+", help="of the shards of the training split")
    parser.add_argument("--mean", required=True)
    arguments = parser.parse_args()

    join_means(arguments.means, arguments.mean)


if __name__ == "__main__":
    main()
