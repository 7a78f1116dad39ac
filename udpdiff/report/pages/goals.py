"""What the configuration asks of its figures, and all of them."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from udpdiff.metrics.registry import describe
from udpdiff.report import quality
from udpdiff.report.inputs import Inputs
from udpdiff.report.site import PageData


class Verdict(PageData):
    key: str = Field(description="Of the figure in quality.json.")
    label: str = Field(description="What it is called.")
    value: float | None
    low: float | None = Field(description="End of its 95 % interval.")
    high: float | None
    goal: str
    met: bool | None = Field(description="None where the figure was not measured.")


class Goals(PageData):
    verdicts: list[Verdict]
    figures: dict[str, float | None] = Field(description="As in quality.json.")


def goals(inputs: Inputs, media: Path) -> Goals:
    """Return what the page shows."""
    verdicts = quality.judge(inputs.figures, inputs.config.report.goals)
    lines = [Verdict(**verdict, label=describe(verdict["key"]).label) for verdict in verdicts]
    return Goals(verdicts=lines, figures=inputs.figures)
