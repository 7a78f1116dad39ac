"""Labels the entities of one shard of clips: first-frame entities or points, SAM 2 through the clip, clean-up."""

from __future__ import annotations

from udpdiff.jobs import SegmentEntities
from udpdiff.labelling.entities import EntityLabeller
from udpdiff.labelling.shards import label_shard, parse_command
from udpdiff.storage.summaries import write_summary


def main() -> None:
    arguments = parse_command(__doc__, SegmentEntities, "entities")
    job, execution = arguments.job, arguments.execution
    labeller = EntityLabeller.from_settings(job.labeller, job.tracker, job.cleanup, execution.device)
    steps = labeller.steps(job.cleanup.min_coverage)
    label_shard("entities", job, execution, steps, arguments.clips, arguments.labels, arguments.timing)
    write_summary(arguments.labels, arguments.summary)


if __name__ == "__main__":
    main()
