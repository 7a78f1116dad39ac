"""Estimates the depth of one shard of clips, near = 1, with the model that the job names."""

from __future__ import annotations

from udpdiff.jobs import EstimateDepth
from udpdiff.labelling.depth import depth_steps, load_estimator
from udpdiff.labelling.shards import label_shard, parse_command
from udpdiff.storage.means import write_mean
from udpdiff.storage.summaries import write_summary


def main() -> None:
    arguments = parse_command(__doc__, EstimateDepth, "depth")
    steps = depth_steps(load_estimator(arguments.job.labeller, arguments.execution.device))
    label_shard("depth", arguments.job, arguments.execution, steps, arguments.clips, arguments.labels, arguments.timing)
    write_summary(arguments.labels, arguments.summary)
    if arguments.mean:
        write_mean(arguments.labels, arguments.mean)


if __name__ == "__main__":
    main()
