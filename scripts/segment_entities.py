"""Labels the entities of one shard of clips: first-frame entities or points, SAM 2 through the clip, clean-up."""

from __future__ import annotations

import argparse

from udpdiff import jobs
from udpdiff.labelling.entities import EntityLabeller
from udpdiff.labelling.shards import label_shard
from udpdiff.storage.summaries import write_summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.SegmentEntities.parse)
    parser.add_argument("--execution", required=True, type=jobs.Execution.parse)
    parser.add_argument("--clips", required=True)
    parser.add_argument("--entities", required=True)
    parser.add_argument("--summary", required=True)
    parser.add_argument("--timing", help="json file: how fast it went")
    arguments = parser.parse_args()

    job, execution = arguments.job, arguments.execution
    labeller = EntityLabeller.from_settings(job.labeller, job.tracker, job.cleanup, execution.device)
    steps = labeller.steps(job.cleanup.min_coverage)
    label_shard("entities", job, execution, steps, arguments.clips, arguments.entities, arguments.timing)
    write_summary(arguments.entities, arguments.summary)


if __name__ == "__main__":
    main()
