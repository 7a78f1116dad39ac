"""`udpdiff compare A B`: what differs between two result folders, figure by figure, and between their configurations."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Figures of the same clips are compared pair by pair; B's are taken minus A's."
    parser.add_argument("a", metavar="A", type=Path, help="a folder that the workflow ran in, or its results folder")
    parser.add_argument("b", metavar="B", type=Path, help="another one")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("comparison"),
        help="the folder that compare.html is written into (default comparison)",
    )


def run(arguments: argparse.Namespace) -> None:
    from udpdiff.command.outputs import probe
    from udpdiff.report.compare import compare

    probe(arguments.out)
    print(compare(arguments.a, arguments.b, arguments.out))
    print(f"\n{(arguments.out / 'compare.html').resolve()}")
