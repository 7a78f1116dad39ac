"""Exports one shard of labelled clips as a WebDataset archive, with a record of what is in it."""

from __future__ import annotations

import argparse

from udpdiff.panda_dense.archive import export_shard


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", required=True)
    parser.add_argument("--entities", required=True)
    parser.add_argument("--depth", required=True)
    parser.add_argument("--captions", required=True)
    parser.add_argument("--archive", required=True)
    parser.add_argument("--record", required=True)
    export_shard(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
