"""Estimates the depth of one shard of clips, near = 1, with the model that the job names."""

from __future__ import annotations

import argparse

from udpdiff import jobs
from udpdiff.labelling.depth import depth_steps, load_estimator
from udpdiff.labelling.shards import label_shard
from udpdiff.storage.summaries import write_summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.EstimateDepth.parse)
    parser.add_argument("--execution", required=True, type=jobs.Execution.parse)
    parser.add_argument("--clips", required=True)
    parser.add_argument("--depth", required=True)
    parser.add_argument("--summary", required=True)
    parser.add_argument("--timing", help="json file: how fast it went")
    arguments = parser.parse_args()

    job, execution = arguments.job, arguments.execution
    steps = depth_steps(load_estimator(job.labeller, execution.device))
    label_shard("depth", job, execution, steps, arguments.clips, arguments.depth, arguments.timing)
    write_summary(arguments.depth, arguments.summary)


if __name__ == "__main__":
    main()
