"""Samples one shard of evaluation prompts with one run: videos, and the dense predictions of one task if it has one."""

from __future__ import annotations

import argparse

from udpdiff import jobs
from udpdiff.gpu_memory import write_peak
from udpdiff.model.sampling import sample_shard
from udpdiff.quiet_libraries import leave_out_loading_bars


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.Sample.parse)
    parser.add_argument("--execution", required=True, type=jobs.Execution.parse)
    parser.add_argument("--run", required=True, help="the run's folder")
    parser.add_argument("--captions", required=True, nargs="+", help="all caption tables of the evaluation split")
    parser.add_argument("--clips", required=True)
    parser.add_argument("--predictions", help="not for a run without a dense stream")
    parser.add_argument("--timing", help="record of the GPU memory that it took")
    arguments = parser.parse_args()

    leave_out_loading_bars()
    job, execution = arguments.job, arguments.execution
    sample_shard(job, execution, arguments.run, arguments.captions, arguments.clips, arguments.predictions)
    if arguments.timing:
        write_peak(arguments.timing, arguments.execution.device)


if __name__ == "__main__":
    main()
