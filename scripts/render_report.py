"""Renders the report and writes the headline figures of quality.json."""

from __future__ import annotations

import argparse
from pathlib import Path

from udpdiff.config import files as config_files
from udpdiff.config import parsing as config_parsing
from udpdiff.figure_record import Basis, figure_record
from udpdiff.jobs import RenderReport
from udpdiff.report.inputs import Inputs
from udpdiff.report.render import render
from udpdiff.storage.files import write_json
from udpdiff.storage.sealed import read_record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=RenderReport.parse)
    parser.add_argument("--results", required=True, type=Path)
    parser.add_argument("--benchmarks", required=True, type=Path)
    parser.add_argument("--measured", required=True, nargs="+", type=Path, help="json files of the measuring rules")
    parser.add_argument("--verdicts", required=True, type=Path, help="on the paper's claims")
    parser.add_argument("--summaries", required=True, nargs="+", type=Path, help="json files beside shards")
    parser.add_argument("--quality", required=True, type=Path)
    parser.add_argument(
        "--page", required=True, type=Path, help="the first one; the others and their files lie beside it"
    )
    parser.add_argument(
        "--default", required=True, type=Path, help="config.yaml, which the configuration is told apart from"
    )
    arguments = parser.parse_args()

    inputs = Inputs(
        arguments.job,
        arguments.results,
        arguments.measured,
        arguments.summaries,
        arguments.benchmarks,
        config_parsing.parse(config_files.read(arguments.default)),
        arguments.verdicts,
    )
    figures = render(inputs, arguments.page.parent)
    files = sorted(arguments.measured)
    record = figure_record(*(Basis.of_document(read_record(path)) for path in files), measured=files)
    write_json(arguments.quality, figures | record)


if __name__ == "__main__":
    main()
