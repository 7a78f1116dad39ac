"""Histograms of the report: counts of clips by some figure, for a page to draw. Knows numbers only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import Field

from udpdiff.report.site import PageData

_BINS = 30
_TAIL = 0.5  # percent of the values at either end that may share the outermost bins
_FEW = 200  # of fewer values, all have bins of their own


class Counts(PageData):
    name: str = Field(description="Which clips these are.")
    counts: list[int] = Field(description="By bin.")


class Histogram(PageData):
    label: str
    unit: str
    words: str = Field(description="What the figure is.")
    edges: list[float] = Field(description="Of the bins; the outermost bins hold what lies beyond them too.")
    series: list[Counts]
    limits: list[float] = Field(description="At which the configuration rejects a clip.")


def histogram(
    label: str, values: Mapping[str, Sequence[float]], *, unit: str = "", words: str = "", limits: Sequence[float] = ()
) -> Histogram | None:
    """Count values by series in common bins; None where all are alike, or there are none.

    Whole numbers of a small range get a bin each. Values that are not finite are left out.

    Args:
        label: Of the figure.
        values: Series -> its values.
        unit: Of the figure.
        words: What it is.
        limits: To be marked.
    """
    finite = {name: _finite(found) for name, found in values.items()}
    together = np.concatenate(list(finite.values())) if finite else np.zeros(0)
    if not len(together) or together.min() == together.max():
        return None
    edges = _edges(together)
    series = [
        Counts(name=name, counts=np.histogram(np.clip(found, edges[0], edges[-1]), edges)[0].tolist())
        for name, found in finite.items()
        if len(found)
    ]
    return Histogram(
        label=label,
        unit=unit,
        words=words,
        edges=[float(f"{edge:.6g}") for edge in edges],
        series=series,
        limits=limits,
    )


def _finite(values: Sequence[float]) -> np.ndarray:
    found = np.asarray(values, np.float64)
    return found[np.isfinite(found)]


def _edges(values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    if len(values) > _FEW:
        ends = np.percentile(values, (_TAIL, 100 - _TAIL))
        low, high = ends if ends[0] < ends[1] else (low, high)
    if (values == np.round(values)).all() and high - low < 2 * _BINS:
        return np.arange(np.floor(low), np.ceil(high) + 2) - 0.5
    return np.linspace(low, high, _BINS + 1)
