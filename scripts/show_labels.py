"""Renders the report's pages on the data set alone: clips, labels, what was left out, and how it was made."""

from __future__ import annotations

import argparse
from pathlib import Path

from udpdiff.config import files as config_files
from udpdiff.config import parsing as config_parsing
from udpdiff.jobs import ShowLabels
from udpdiff.report.inputs import Inputs
from udpdiff.report.render import render_labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=ShowLabels.parse)
    parser.add_argument("--results", required=True, type=Path)
    parser.add_argument("--benchmarks", required=True, type=Path)
    parser.add_argument(
        "--measured", nargs="*", default=[], type=Path, help="figures of labels, where there is a truth"
    )
    parser.add_argument("--summaries", required=True, nargs="+", type=Path, help="json files beside shards")
    parser.add_argument("--page", required=True, type=Path, help="the first one; the others lie beside it")
    parser.add_argument(
        "--default", required=True, type=Path, help="config.yaml, which the configuration is told apart from"
    )
    arguments = parser.parse_args()

    default = config_parsing.parse(config_files.read(arguments.default))
    found = (arguments.measured, arguments.summaries, arguments.benchmarks)
    render_labels(Inputs(arguments.job, arguments.results, *found, default), arguments.page.parent)


if __name__ == "__main__":
    main()
