"""Compares the dense predictions of one shard of samples with a judge's labels of the same generated videos."""

from __future__ import annotations

import argparse
from pathlib import Path

from udpdiff import jobs
from udpdiff.metrics.comparison import compare_samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.CompareSamples.parse)
    parser.add_argument("--predictions", required=True, type=Path)
    parser.add_argument("--clips", required=True, type=Path, help="the generated videos")
    parser.add_argument("--reference", required=True, type=Path, help="the judge's labels")
    parser.add_argument(
        "--comparators", nargs="*", default=[], type=Path, help="further labellers', as the job names them"
    )
    parser.add_argument(
        "--mean", nargs="*", default=[], type=Path, help="of the labels that the run learned; none for a task without"
    )
    parser.add_argument("--comparison", required=True, type=Path)
    arguments = parser.parse_args()

    compare_samples(
        arguments.job,
        arguments.predictions,
        arguments.clips,
        arguments.reference,
        arguments.comparison,
        arguments.comparators,
        *arguments.mean,
    )


if __name__ == "__main__":
    main()
