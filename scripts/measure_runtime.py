"""Times sampling of several runs against each other (table 4)."""

from __future__ import annotations

import argparse

from udpdiff import jobs
from udpdiff.figure_record import Basis, Footage, figure_record
from udpdiff.metrics.evaluate import evaluate_runtime, quality_document
from udpdiff.metrics.records import ROUNDS, VIDEOS
from udpdiff.model.runtime import networks_of_run, time_runs
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
    size = job.size.model_dump(exclude={"num_frames"}) | {"frames": job.size.num_frames, "codec": "none"}
    for path, folder, (run, task), found in zip(arguments.runtimes, arguments.runs, job.runs, timings, strict=True):
        metrics = evaluate_runtime(found, hardware=device_name(execution.device))
        rounds = [f"round {number}" for number in range(1, len(found) + 1)]
        basis = Basis(
            networks={role: [network] for role, network in networks_of_run(folder).items()},
            videos={VIDEOS: [Footage(**size, seed=1)]},
            clip_ids={ROUNDS: rounds},
            seeds={"noise of each round": list(range(1, len(found) + 1))},
        )
        document = quality_document(run, task, job.seed, len(found), metrics, {ROUNDS: rounds})
        write_record(path, document | figure_record(basis, device=execution.device))


if __name__ == "__main__":
    main()
