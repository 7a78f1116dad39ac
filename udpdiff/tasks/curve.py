"""How a task describes the curves of its codec: axes, colour codings, and clips drawn for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import BaseModel

from udpdiff.tasks.figure import Figure


@dataclass(frozen=True)
class Axis:
    """What a curve runs over.

    Attributes:
        label: A short heading.
        edges: Of the bins, ascending; a bin holds its lower edge. The last may be infinity.
        scale: How it is drawn.
        unit: Of the edges.
    """

    label: str
    edges: tuple[float, ...]
    scale: Literal["linear", "log"] = "linear"
    unit: str = ""


@dataclass(frozen=True)
class Coding:
    """A colour encoding that is measured: how people call it, the task's name for it, and the task's options with it."""

    label: str
    colormap: str
    options: BaseModel


@dataclass(frozen=True)
class Curve:
    """The figure that is measured, and what it is shown over."""

    figure: Figure
    axes: Mapping[str, Axis]


@dataclass(frozen=True)
class CurveValues:
    """What one clip adds: values (n,) of the figure, of entities or pixels, and where each stands on the axes, by name."""

    positions: Mapping[str, np.ndarray]
    values: np.ndarray
