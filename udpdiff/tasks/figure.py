"""A figure: a measured number, with how it is called, printed and read. `metrics.registry` lists all that there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Figure:
    """What people need to know of one measured number.

    Attributes:
        key: Its name in the files of measurements.
        label: A short heading.
        direction: Which values are better.
        digits: Digits after the point, when printed.
        words: What it means, in plain words.
        unit: Of the printed value.
        scale: The printed value is this times the stored one.
        summary: Of a set of clips: the mean over them, or the worst of them.
        against: Of a figure of what was generated: what a prediction is set against, labels of the generated video, the
            video's own motion, the colormap that it was read from, or nothing.
    """

    key: str
    label: str
    direction: Literal["higher", "lower", "neither"]
    digits: int
    words: str
    unit: str = ""
    scale: float = 1.0
    summary: Literal["mean", "max"] = "mean"
    against: Literal["labels", "motion", "colormap", "nothing"] = "labels"

    def scaled(self, value: float) -> float:
        """Return a stored value in the unit that is printed."""
        return self.scale * value

    def text(self, value: float) -> str:
        """Return a stored value as it is printed, with digits and unit."""
        return f"{self.scaled(value):.{self.digits}f}{self.unit and ' ' + self.unit}"
