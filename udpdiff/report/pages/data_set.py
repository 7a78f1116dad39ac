"""The data set: its clips, what was rejected, and how good the labels are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from udpdiff.report import gallery
from udpdiff.report.inputs import Inputs
from udpdiff.report.label_page import label_page
from udpdiff.report.site import PageData
from udpdiff.report.worst_labels import MAX_DEPTH_ERROR


class DataSet(PageData):
    data_set: dict[str, Any]
    labels: dict[str, Any]
    max_depth_error: float


def data_set(inputs: Inputs, media: Path) -> DataSet:
    """Return what the page shows, its films and pictures written into `media`."""
    return DataSet(
        data_set=gallery.data_set(inputs, media),
        labels=label_page(inputs, media),
        max_depth_error=MAX_DEPTH_ERROR,
    )
