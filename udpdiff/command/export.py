"""`udpdiff export RUN FOLDER`: a trained run, small, with a card: what `--model FOLDER`, the hub and mini:udpdiff take."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, help="folder of a trained run, results/runs/NAME")
    parser.add_argument("folder", type=Path, help="to write; one that is there is replaced")
    parser.add_argument("--metrics", type=Path, help="folder of its figures; by default results/metrics/NAME, if there")
    parser.add_argument("--data", default="", help="what it was trained on, in words, for the card")


def run(arguments: argparse.Namespace) -> None:
    from udpdiff.quiet_libraries import leave_out_loading_bars

    leave_out_loading_bars()
    from udpdiff.training.sharing import share_run

    beside = arguments.run.resolve().parents[1] / "metrics" / arguments.run.resolve().name
    metrics = arguments.metrics or (beside if beside.is_dir() else None)
    share_run(arguments.run, arguments.folder, metrics, arguments.data)
    size = sum(path.stat().st_size for path in arguments.folder.rglob("*") if path.is_file())
    print(f"{arguments.folder}: {size / 1e6:.1f} MB; its card is {arguments.folder / 'README.md'}")
