"""The first page: what was made, at which scale, at what cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from udpdiff.report import gallery
from udpdiff.report.inputs import Inputs
from udpdiff.report.site import PageData


class Overview(PageData):
    generated: list[dict[str, Any]]
    total_seconds: float
    peak_rss_gb: float


def overview(inputs: Inputs, media: Path) -> Overview:
    """Return what the page shows, its films written into `media`."""
    return Overview(
        generated=[gallery.generated(inputs, run, task, media) for run, task in inputs.featured_pairs()],
        total_seconds=inputs.figures["cost.total_seconds"],
        peak_rss_gb=inputs.figures["cost.peak_rss_gb"],
    )
