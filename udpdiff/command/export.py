"""`udpdiff export RUN FOLDER`: a trained run, small, with a card: what `--model FOLDER`, the hub and mini:udpdiff take."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from udpdiff.command.outputs import add_overwrite

    parser.add_argument("run", type=Path, help="folder of a trained run, results/runs/NAME")
    parser.add_argument("folder", type=Path, help="to write; an export of the same weights that is there is replaced")
    parser.add_argument("--metrics", type=Path, help="folder of its figures; by default results/metrics/NAME, if there")
    parser.add_argument(
        "--data", default="", help="what it was trained on, in words, for the card; by default what its training said"
    )
    add_overwrite(parser)


def run(arguments: argparse.Namespace) -> None:
    from udpdiff.command.outputs import probe
    from udpdiff.training.sharing import share_run

    probe(arguments.folder.absolute().parent, "FOLDER")
    beside = arguments.run.resolve().parent.parent / "metrics" / arguments.run.resolve().name
    metrics = arguments.metrics or (beside if beside.is_dir() else None)
    share_run(arguments.run, arguments.folder, metrics, arguments.data, arguments.overwrite)
    size = sum(path.stat().st_size for path in arguments.folder.rglob("*") if path.is_file())
    print(f"{arguments.folder}: {size / 1e6:.1f} MB; its card is {arguments.folder / 'README.md'}")
    figures = f"those of {metrics}" if metrics else f"none, for there is no {beside}; --metrics names another folder"
    print(f"figures in the card: {figures}")
