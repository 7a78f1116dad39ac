"""Times sampling of several runs against each other (table 4)."""

from __future__ import annotations

import argparse

from udpdiff import jobs
from udpdiff.metrics.evaluate import evaluate_runtime, quality_document
from udpdiff.metrics.records import ROUNDS
from udpdiff.model.runtime import time_runs
from udpdiff.provenance import behind_figures
from udpdiff.quiet_libraries import leave_out_loading_bars
from udpdiff.storage.sealed import write_record
from udpdiff.timing import device_name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.MeasureRuntime.parse)
    parser.add_argument("--execution", required=True, type=jobs.Execution.parse)
    parser.add_argument("--runs", required=True, nargs="+", help="folders, in the order of the job")
    parser.add_argument("--runtimes", required=True, nargs="+", help="json files, one for each run")
    arguments = parser.parse_args()

    leave_out_loading_bars()
    job, execution = arguments.job, arguments.execution
    timings = time_runs(job, execution, arguments.runs)
    for path, (run, task), found in zip(arguments.runtimes, job.runs, timings, strict=True):
        metrics = evaluate_runtime(found, hardware=device_name(execution.device))
        rounds = {ROUNDS: [f"round {number}" for number in range(len(found))]}
        document = quality_document(run, task, job.seed, len(found), metrics, rounds)
        size, device = job.size.model_dump(mode="json"), device_name(execution.device)
        write_record(path, document | behind_figures(seeds={"rounds": job.seed}, videos=[size], device=device))


if __name__ == "__main__":
    main()
