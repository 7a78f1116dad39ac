"""When which job ran: jobs by rule on one axis from which the times between invocations are cut out.

Reads nothing; takes what benchmark files say. A job ended when its file was written.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from udpdiff.planning.costs import JobCost
from udpdiff.report.site import PageData

MOST_JOBS = 1500  # drawn one by one; of more, neighbours of a rule are drawn together
_PAUSE_SECONDS = 60.0  # without any job: cut out


class DrawnJob(PageData):
    start: float = Field(description="Seconds of the axis.")
    seconds: float
    text: str


class TimelineRow(PageData):
    rule: str
    jobs: list[DrawnJob]


class MemoryStep(PageData):
    start: float = Field(description="Seconds of the axis.")
    gb: float = Field(description="Peaks of the jobs that run from then on, summed: a bound of what is resident.")


class Timeline(PageData):
    seconds: float = Field(description="Length of the axis.")
    cuts: list[float] = Field(description="Where more than a minute without any job is left out.")
    rows: list[TimelineRow] = Field(description="Rules by their first job.")
    memory: list[MemoryStep]
    gpu_memory: list[MemoryStep] = Field(description="Likewise of GPUs; empty where no job recorded any.")


def timeline(jobs: Sequence[JobCost]) -> Timeline:
    """Place jobs on the axis."""
    timed = sorted((job for job in jobs if job.seconds > 0), key=lambda job: job.end - job.seconds)
    shift, until, cuts = None, 0.0, []
    placed: dict[str, list[tuple[float, JobCost]]] = {}
    for job in timed:
        start = job.end - job.seconds
        if shift is None:
            shift = until = start
        if start - until > _PAUSE_SECONDS:
            cuts.append(until - shift)
            shift += start - until
        until = max(until, job.end)
        placed.setdefault(job.rule, []).append((start - shift, job))
    group = max(1, -(-len(timed) // MOST_JOBS))
    pairs = [pair for found in placed.values() for pair in found]
    return Timeline(
        seconds=until - shift if shift is not None else 0.0,
        cuts=cuts,
        rows=[TimelineRow(rule=rule, jobs=_drawn(found, group)) for rule, found in placed.items()],
        memory=_memory([(start, job.seconds, job.peak_rss_gb) for start, job in pairs]),
        gpu_memory=_memory([(start, job.seconds, job.peak_gpu_gb) for start, job in pairs if job.peak_gpu_gb]),
    )


def _memory(held: list[tuple[float, float, float]]) -> list[MemoryStep]:
    """What changes when a job begins or ends, of (start, seconds, GB); of very many, the largest of neighbouring steps."""
    events = [(start, gb) for start, _, gb in held] + [(start + seconds, -gb) for start, seconds, gb in held]
    steps, resident = {}, 0.0
    for moment, change in sorted(events):
        resident += change
        steps[round(moment, 2)] = max(0.0, round(resident, 3))
    found = list(steps.items())
    group = max(1, -(-len(found) // MOST_JOBS))
    return [
        MemoryStep(start=found[first][0], gb=max(gb for _, gb in found[first : first + group]))
        for first in range(0, len(found), group)
    ]


def _drawn(placed: list[tuple[float, JobCost]], group: int) -> list[DrawnJob]:
    drawn = []
    for first in range(0, len(placed), group):
        own = placed[first : first + group]
        start = own[0][0]
        seconds = max(begin + job.seconds for begin, job in own) - start
        peak = max(job.peak_rss_gb for _, job in own)
        name = own[0][1].job if len(own) == 1 else f"{own[0][1].job} and {len(own) - 1} more"
        text = f"{own[0][1].rule} {name}: {seconds:.1f} s, {peak:.2f} GB"
        if gpu := max(job.peak_gpu_gb or 0.0 for _, job in own):
            text += f", GPU {gpu:.2f} GB"
        drawn.append(DrawnJob(start=round(start, 2), seconds=round(seconds, 2), text=text))
    return drawn
