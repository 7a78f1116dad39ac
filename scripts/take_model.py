"""Puts a model that is trained already among the runs."""

from __future__ import annotations

import argparse
from pathlib import Path

from udpdiff import jobs
from udpdiff.model.taking import take_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.TakeModel.parse)
    parser.add_argument("--output", required=True, type=Path, help="folder among the runs")
    arguments = parser.parse_args()
    take_model(arguments.job, arguments.output)


if __name__ == "__main__":
    main()
