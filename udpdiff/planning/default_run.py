"""What the default run took where it was last measured from a fresh clone: docs/quality.json, its figures `cost.*`."""

from __future__ import annotations

import json
from functools import cache

from udpdiff.workflow_place import workflow_folder

CORES, PROCESSOR = 2, "AMD EPYC"  # that it ran on


@cache
def cost(name: str) -> float:
    """Return a figure of its cost, as `total_seconds`; 0 for one that it has not."""
    figures = json.loads((workflow_folder() / "docs" / "quality.json").read_text())
    return figures.get(f"cost.{name}", 0.0)


def job_seconds(rules: tuple[str, ...]) -> float:
    """Return the seconds of all jobs of some rules together, each of which had one core."""
    return sum(cost(f"{rule}_seconds") for rule in rules)
