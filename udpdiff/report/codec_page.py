"""What the codec loses, as curves: of labels in colours alone, and through colours and VAE, over what a task names.

Takes what `metrics.codec_curves.measure_curves` wrote; measures nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field

from udpdiff.report.curves import Curve, Panel
from udpdiff.report.site import PageData
from udpdiff.tasks import get_task

_POINTS = ("value", "low", "high")


class CodecGroup(PageData):
    """One task."""

    heading: str
    words: str = Field(description="What its figure is.")
    codings: list[str] = Field(description="Colour encodings, in the order of their colours.")
    panels: list[Panel]


def codec_groups(curves: Mapping[str, Any] | None) -> list[CodecGroup]:
    """Return the panels of every task: one for each axis and source of clips; none where no curves were measured.

    Args:
        curves: `curves` of codec.json.
    """
    if not curves:
        return []
    return [
        CodecGroup(
            heading=get_task(task).phrase.capitalize(),
            words=found["figure"]["words"],
            codings=list(found["codings"].values()),
            panels=list(_panels(found, curves["sources"], curves["stages"])),
        )
        for task, found in curves["tasks"].items()
    ]


def _panels(found: Mapping[str, Any], sources: Mapping[str, str], stages: Mapping[str, str]) -> Iterator[Panel]:
    figure, order = found["figure"], list(found["codings"])
    for axis, about in found["axes"].items():
        for source, words in sources.items():
            lines = [line for line in found["lines"] if (line["axis"], line["source"]) == (axis, source)]
            if not lines:
                continue
            yield Panel(
                title=f"{figure['label']} by {about['label']}" + (f", {figure['unit']}" if figure["unit"] else ""),
                x_label=about["unit"] or about["label"],
                x_log=about["scale"] == "log",
                words=words,
                curves=[_curve(line, found["codings"], order, stages, figure["scale"]) for line in lines],
            )


def _curve(
    line: Mapping[str, Any], codings: Mapping[str, str], order: list[str], stages: Mapping[str, str], scale: float
) -> Curve:
    name, points = codings[line["coding"]], line["points"]
    columns = {key: [None if each[key] is None else _short(each[key] * scale) for each in points] for key in _POINTS}
    return Curve(
        name=name,
        label=f"{name}, {stages[line['stage']]}",
        series=order.index(line["coding"]) % 6,
        steps=[_short(each["at"]) for each in points],
        values=columns["value"],
        low=columns["low"],
        high=columns["high"],
        marks=True,
        dashed=line["stage"] == "colours",
    )


def _short(value: float) -> float:
    return float(f"{value:.5g}")
