"""Names of the trainings of one run: the first is called as the run, further ones RUN-1, RUN-2 and so on.

No run has a dash in its name.
"""

from __future__ import annotations


def replicate_names(run: str, count: int) -> list[str]:
    """Return the names of so many trainings of a run."""
    return [run, *(f"{run}-{number}" for number in range(1, count))]


def run_of(name: str) -> str:
    """Return the run that a training is of."""
    return name.partition("-")[0]


def number_of(name: str) -> int:
    """Return which training of its run it is, from 0."""
    return int(name.partition("-")[2] or 0)
