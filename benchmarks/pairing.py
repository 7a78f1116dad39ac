"""Times of contenders that take turns in one process, so that all meet the same machine, and their paired ratios."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from udpdiff.progress import progress

Timing = Mapping[str, float]  # seconds by part
_RESAMPLES = 2000
_LEVEL = (2.5, 97.5)


@dataclass(frozen=True)
class Interval:
    """A median with the ends of its 95 % bootstrap interval, over n values; the ends are nan for a single value."""

    median: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        if self.n == 1:
            return f"{self.median:.4g}"
        return f"{self.median:.4g} [{self.low:.4g}, {self.high:.4g}]"


def take_turns(contenders: Mapping[str, Callable[[int], Timing]], repeats: int) -> dict[str, list[Timing]]:
    """Return each contender's timings, one for each round; a first round warms up and is left out.

    The order turns by one in every round, so that no contender always follows the same other.

    Args:
        contenders: Functions of the round's number, which seeds them.
    """
    timings: dict[str, list[Timing]] = {name: [] for name in contenders}
    names = list(contenders)
    for turn in progress(range(repeats + 1), "rounds"):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            timing = contenders[name](turn)
            if turn:
                timings[name].append(timing)
    return timings


def median(values: Sequence[float]) -> Interval:
    """Return the median of values (N,)."""
    values = np.asarray(values, np.float64)
    if len(values) == 1:
        return Interval(float(values[0]), float("nan"), float("nan"), 1)
    drawn = np.random.default_rng(0).integers(len(values), size=(_RESAMPLES, len(values)))
    low, high = np.percentile(np.median(values[drawn], axis=1), _LEVEL)
    return Interval(float(np.median(values)), float(low), float(high), len(values))


def ratio(timings: Sequence[Timing], reference: Sequence[Timing], part: str) -> Interval:
    """Return the median of the rounds' ratios of a part's seconds to the reference's."""
    return median([own[part] / other[part] for own, other in zip(timings, reference, strict=True)])
