"""Measures each configured labeller on a few clips, as a job of its own: clips per hour, share of the model, memory."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from udpdiff.jobs import Execution, MeasureThroughput
from udpdiff.planning.throughput import describe, measure_labellers
from udpdiff.provenance import provenance
from udpdiff.storage.sealed import write_record


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=MeasureThroughput.parse)
    parser.add_argument("--execution", required=True, type=Execution.parse)
    parser.add_argument("--clips", required=True, type=Path, help="a shard of clips")
    parser.add_argument("--count", type=int, default=16, help="how many of its clips to label")
    parser.add_argument("--throughput", required=True, type=Path)
    arguments = parser.parse_args()

    measured = []
    for name, record in measure_labellers(arguments.job, arguments.execution, arguments.clips, arguments.count):
        print(describe(name, record), flush=True)
        measured.append(asdict(record))
    made = provenance()
    document = {key: made[key] for key in ("commit", "dirty", "package_sha256", "versions", "hardware")}
    write_record(arguments.throughput, document | {"labellers": measured})


if __name__ == "__main__":
    main()
