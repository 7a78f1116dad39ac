"""What the configuration asks of its figures, and all of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import Field

from udpdiff.metrics.registry import describe
from udpdiff.report import quality
from udpdiff.report.inputs import Inputs
from udpdiff.report.site import PageData

_OF = {
    "labels": "labels, against truth",
    "codec": "codec",
    "generated": "what was generated",
    "against_base": "against the base",
    "runtime": "sampling",
    "cost": "the whole run",
}


class Verdict(PageData):
    key: str = Field(description="Of the figure in quality.json.")
    of: str = Field(description="What was measured, in words.")
    label: str = Field(description="What it is called.")
    unit: str
    digits: int = Field(description="Digits after the point, when printed.")
    value: float | None
    low: float | None = Field(description="End of its 95 % interval.")
    high: float | None
    goal: str
    words: str = Field(description="The goal as people read it.")
    met: bool | None = Field(description="None where the figure was not measured.")


class Goals(PageData):
    verdicts: list[Verdict]
    figures: dict[str, float | None] = Field(description="As in quality.json.")


def goals(inputs: Inputs, media: Path) -> Goals:
    """Return what the page shows."""
    verdicts = quality.judge(inputs.figures, inputs.config.report.goals)
    return Goals(verdicts=[_verdict(inputs, verdict) for verdict in verdicts], figures=inputs.figures)


def _verdict(inputs: Inputs, verdict: dict[str, Any]) -> Verdict:
    figure, (group, *names) = describe(verdict["key"]), verdict["key"].split(".")
    variant = names[0] if len(names) > 1 else inputs.featured_run() if group == "generated" else ""
    words = verdict["goal"].replace(">=", "≥").replace("<=", "≤")
    if control := re.match(r"> (\S+)", words):
        label = describe(control[1]).label.removeprefix(f"{figure.label}, ")
        words = f"> {label}{words[control.end() :]}"
    plain = figure.unit if figure.scale == 1 else ""  # else goals are in stored units
    return Verdict(
        **verdict,
        of=f"{_OF.get(group, group)}{variant and f' ({variant})'}",
        label=figure.label,
        unit=plain,
        digits=figure.digits if plain else 4,
        words=f"{words} {plain}".strip(),
    )
