"""What longer training buys: figures of runs that differ in their steps, as a csv for the documentation.

    python -m udpdiff.report.training_lengths hours multi multi_1000 multi_3000 multi_10000 > docs/mini-scale/longer.csv

Reads what the workflow left in a work directory; measures nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from udpdiff.storage.sealed import read_record
from udpdiff.training.log import read_log

# Column -> the task and key of its figure, and digits after the point.
FIGURES = {
    "entity_tube_iou": ("seg", "entity_tube_iou", 3),
    "entity_tube_iou_shuffled": ("seg", "entity_tube_iou_shuffled", 3),
    "solid_tube_iou": ("seg", "solid_tube_iou", 3),
    "solid_tube_iou_shuffled": ("seg", "solid_tube_iou_shuffled", 3),
    "depth_delta1": ("depth", "depth_delta1", 3),
    "depth_delta1_shuffled": ("depth", "depth_delta1_shuffled", 3),
    "depth_delta1_constant": ("depth", "depth_delta1_constant", 3),
    "fvd_entities": ("seg", "fvd", 0),
    "fvd_depth": ("depth", "fvd", 0),
}


def training_lengths(folder: Path, runs: Sequence[str]) -> pd.DataFrame:
    """Return a row for each run, every figure as it is printed.

    Args:
        folder: A work directory, with `results/` and `benchmarks/`.
        runs: Which learn entities and depth, and were measured.

    Returns:
        Steps, processor seconds of the training (Snakemake's `cpu_time`; wall time would tell what else the machine did),
        the last validation losses of the video and the dense stream, and FIGURES.

    Raises:
        FileNotFoundError: A run was not trained or not measured there.
        StorageError: A file of figures is not as it was written.
    """
    return pd.DataFrame([_row(folder, run) for run in runs])


def _row(folder: Path, run: str) -> dict[str, str]:
    measured = {
        task: read_record(folder / "results/metrics" / run / task / "quality.json")["metrics"]
        for task in ("seg", "depth")
    }
    seconds = pd.read_csv(folder / f"benchmarks/train/{run}.tsv", sep="\t")["cpu_time"].iloc[-1]
    last = [entry for entry in read_log(folder / "results/training" / run / "train.jsonl") if "validation" in entry][-1]
    row = {"steps": str(last["step"]), "cpu_seconds": f"{seconds:.0f}"}
    row |= {name: f"{last['validation'][name]:.3f}" for name in ("loss_video", "loss_dense")}
    return row | {name: f"{measured[task][key]['value']:.{digits}f}" for name, (task, key, digits) in FIGURES.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Write figures of runs by their steps as csv.")
    parser.add_argument("folder", type=Path, help="a work directory, with results/ and benchmarks/")
    parser.add_argument("runs", nargs="+", metavar="RUN")
    arguments = parser.parse_args()
    training_lengths(arguments.folder, arguments.runs).to_csv(sys.stdout, index=False)


if __name__ == "__main__":
    main()
