"""Curves as a page draws them: lines over a common axis, several to a panel. Types alone."""

from __future__ import annotations

from pydantic import Field

from udpdiff.report.site import PageData


class Curve(PageData):
    name: str = Field(description="By which the page shows and hides it.")
    label: str
    series: int = Field(description="Number of its colour.")
    steps: list[int | float]
    values: list[float | None] = Field(description="Null where nothing was measured.")
    low: list[float | None] | None = Field(None, description="Ends of 95 % intervals, where there are some.")
    high: list[float | None] | None = None
    marks: bool = Field(False, description="Whether each value is marked.")
    dashed: bool = False


class Panel(PageData):
    title: str
    x_label: str = "step"
    x_log: bool = Field(False, description="Whether the axis of steps is logarithmic.")
    log: bool = Field(False, description="Whether the axis of values is.")
    words: str = ""
    curves: list[Curve]
