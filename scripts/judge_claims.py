"""Sets the paper's claims beside what our figures show, with the comparisons of all tables, at a stated scale."""

from __future__ import annotations

import argparse
from pathlib import Path

from udpdiff import jobs
from udpdiff.figure_record import Basis, figure_record
from udpdiff.storage.sealed import read_record, write_record
from udpdiff.tables.measured import read_measurements
from udpdiff.tables.verdicts import judge_claims


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.JudgeClaims.parse)
    parser.add_argument("--comparisons", nargs="*", default=[], type=Path, help="of the report's tables")
    parser.add_argument("--measured", nargs="*", default=[], type=Path, help="quality.json of claims across tables")
    parser.add_argument("--verdicts", required=True, type=Path)
    arguments = parser.parse_args()

    found = [read_record(path) for path in arguments.comparisons]
    tables = {each["table"]: each["comparisons"] for each in found}
    verdicts = judge_claims(arguments.job, tables, read_measurements(arguments.measured))
    bases = map(Basis.of_document, [*found, *map(read_record, arguments.measured)])
    record = figure_record(
        *bases,
        Basis(seeds={"tests": [arguments.job.seed]}),
        measured=[*arguments.comparisons, *arguments.measured],
    )
    write_record(arguments.verdicts, verdicts | record)


if __name__ == "__main__":
    main()
