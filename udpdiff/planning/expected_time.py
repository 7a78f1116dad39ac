"""What a run of the workflow says of the time that its jobs take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property

from udpdiff.counted import counted
from udpdiff.planning import cpu_speeds, default_run, table
from udpdiff.planning.costs import JobCost
from udpdiff.planning.stages import StagePlan
from udpdiff.workflow.workflow import Workflow

LEAST_SECONDS = 120.0  # of reckoned time, that jobs tell of a machine's speed; the first ones only start up
LARGEST_RATIO = 20.0
WORTH_SAYING = 0.15


def time_ratio(finished: Iterable[JobCost], reckoned: Mapping[str, float]) -> float:
    """Return how many times as long as reckoned jobs took; 1 until enough of them has finished.

    Jobs by their own time, not the run by the clock: else those that still run, and cores without work, would make it larger.

    Args:
        finished: Jobs of this run.
        reckoned: rule -> seconds of one of its jobs; jobs of other rules do not count.
    """
    known = [job for job in finished if job.rule in reckoned]
    expected = sum(reckoned[job.rule] for job in known)
    if expected < LEAST_SECONDS:
        return 1.0
    return min(max(sum(job.seconds for job in known) / expected, 1 / LARGEST_RATIO), LARGEST_RATIO)


class TimeLeft:
    """The time of the jobs ahead; as text what a line about a job ends with, empty where it is not known.

    Args:
        workflow: Of clips of the default's size and the shipped models, for something to be known.
        ahead: Returns rule -> how many of its jobs are not finished.
        cores: That jobs run on.
        finished: Returns the jobs that have finished in this run, from which the machine's speed is learnt.
    """

    def __init__(
        self,
        workflow: Workflow,
        ahead: Callable[[], Mapping[str, int]],
        cores: int,
        finished: Callable[[], Iterable[JobCost]] = tuple,
    ) -> None:
        self.workflow, self.ahead, self.cores, self.finished = workflow, ahead, cores, finished
        self._told = False

    def __str__(self) -> str:
        hours = cpu_speeds.wall_hours(self._stages_ahead(), self.cores)
        if not hours:
            return ""
        ratio = time_ratio(self.finished(), self._job_seconds)
        why = ""
        if abs(ratio - 1) > WORTH_SAYING and not self._told:
            self._told = True
            why = f" (jobs take {ratio:.1f} times as long here as reckoned)"
        return f"; about {table.in_words(ratio * hours)} left{why}"

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

    @cached_property
    def _job_seconds(self) -> dict[str, float]:
        """Rule -> seconds that one of its jobs was reckoned to take, of rules whose stages are all known."""
        seconds = {}
        for rules in {cpu_speeds.rules_of(stage.stage) for stage in self._stages}:
            stages = [stage for stage in self._stages if cpu_speeds.rules_of(stage.stage) == rules and stage.jobs]
            if stages and all(stage.hours for stage in stages):
                mean = 3600 * sum(stage.hours for stage in stages) / sum(stage.jobs for stage in stages)
                seconds |= dict.fromkeys(rules, mean)
        return seconds

    def _stages_ahead(self) -> list[StagePlan]:
        if not self._stages:
            return []  # and nobody counts the ten thousands of jobs of a large run for every line
        return [stage for stage in cpu_speeds.of_jobs(self._stages, self.ahead()) if stage.jobs]
