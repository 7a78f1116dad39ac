"""Joins the measurements of all shards of one run and task: its videos, and its dense predictions where they were compared."""

from __future__ import annotations

import argparse
from pathlib import Path

from udpdiff import jobs
from udpdiff.metrics.evaluate import evaluate_samples
from udpdiff.storage.sealed import write_record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.EvaluateSamples.parse)
    parser.add_argument("--features", required=True, nargs="+", type=Path, help="of the generated videos")
    parser.add_argument("--reference", required=True, nargs="+", type=Path, help="features of real videos")
    parser.add_argument("--comparisons", nargs="*", default=[], type=Path)
    parser.add_argument("--quality", required=True, type=Path)
    arguments = parser.parse_args()

    document = evaluate_samples(arguments.job, arguments.features, arguments.reference, arguments.comparisons)
    write_record(arguments.quality, document)


if __name__ == "__main__":
    main()
