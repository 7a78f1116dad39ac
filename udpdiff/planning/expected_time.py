"""What a run of the workflow says of the time that its jobs take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

from udpdiff.counted import counted
from udpdiff.planning import cpu_speeds, default_run, table
from udpdiff.planning.stages import StagePlan
from udpdiff.workflow.workflow import Workflow


class TimeLeft:
    """The time of the jobs ahead; as text what a line about a job ends with, empty where it is not known.

    Args:
        workflow: Of clips of the default's size and the shipped models, for something to be known.
        ahead: Returns rule -> how many of its jobs are not finished.
        cores: That jobs run on.
    """

    def __init__(self, workflow: Workflow, ahead: Callable[[], Mapping[str, int]], cores: int) -> None:
        self.workflow, self.ahead, self.cores = workflow, ahead, cores

    def __str__(self) -> str:
        hours = cpu_speeds.wall_hours(self._stages_ahead(), self.cores)
        return f"; about {table.in_words(hours)} left" if hours else ""

    def describe(self) -> str | None:
        """Return a sentence for the start, with what it rests on; None where nothing is known."""
        stages, cores = self._stages_ahead(), self.cores
        if not (hours := cpu_speeds.wall_hours(stages, cores)):
            return None
        unknown = sorted({stage.stage for stage in stages if stage.clips and not stage.speed})
        without = f" (not counted: {', '.join(unknown)})" if unknown else ""
        return (
            f"About {table.in_words(hours)} from here on {counted(cores, 'core')}{without}: reckoned from the default run, "
            f"which took {table.in_words(default_run.cost('total_seconds') / 3600)} on {default_run.CORES} cores of an "
            f"{default_run.PROCESSOR} that did nothing else."
        )

    @cached_property
    def _stages(self) -> list[StagePlan]:
        if self.workflow.missing or self.workflow.config.gpu:
            return []
        return cpu_speeds.with_default_speeds(self.workflow.config, cpu_speeds.counted_stages(self.workflow))

    def _stages_ahead(self) -> list[StagePlan]:
        if not self._stages:
            return []  # and nobody counts the ten thousands of jobs of a large run for every line
        return [stage for stage in cpu_speeds.of_jobs(self._stages, self.ahead()) if stage.jobs]
