"""What a start of the workflow says of the time that its jobs take."""

from __future__ import annotations

from collections.abc import Mapping

from udpdiff.planning import cpu_speeds, default_run, table
from udpdiff.workflow import Workflow


def describe(workflow: Workflow, needed: Mapping[str, int], cores: int) -> str | None:
    """Return a line for people; None where nothing is known of the speed of these clips and models.

    Args:
        needed: Rule -> how many of its jobs are to run.
        cores: That jobs run on.
    """
    if workflow.missing or workflow.config.gpu:
        return None
    stages = cpu_speeds.with_default_speeds(workflow.config, cpu_speeds.counted_stages(workflow))
    ahead = [stage for stage in cpu_speeds.of_jobs(stages, needed) if stage.jobs]
    if not (hours := cpu_speeds.wall_hours(ahead, cores)):
        return None
    unknown = sorted({stage.stage for stage in ahead if stage.clips and not stage.speed})
    without = f", without {', '.join(unknown)}" if unknown else ""
    return (
        f"About {table.in_words(hours)} from here on {cores} core{'s' * (cores > 1)}{without}: reckoned from the default run, which took "
        f"{table.in_words(default_run.cost('total_seconds') / 3600)} on {default_run.CORES} cores of an {default_run.PROCESSOR} that did nothing else."
    )
