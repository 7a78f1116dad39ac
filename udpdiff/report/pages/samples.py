"""Generated videos of every shown run, prompt by prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from udpdiff.report import gallery
from udpdiff.report.inputs import Inputs
from udpdiff.report.site import PageData


class Samples(PageData):
    generated: list[dict[str, Any]]
    compared: list[dict[str, Any]]


def samples(inputs: Inputs, media: Path) -> Samples:
    """Return what the page shows, its films written into `media`."""
    return Samples(
        generated=[gallery.generated(inputs, run, task, media) for run, task in inputs.featured_pairs()],
        compared=gallery.compared(inputs, media),
    )
