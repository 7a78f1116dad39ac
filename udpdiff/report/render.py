"""The report: a site of pages, opened from disk, over what was measured, made and used. Measures nothing itself.

A page is a module of `pages/` that says what it shows, and a template of `templates/` that says how.
"""

from __future__ import annotations

from pathlib import Path

from udpdiff.report.inputs import Inputs
from udpdiff.report.pages.data_set import data_set
from udpdiff.report.pages.goals import goals
from udpdiff.report.pages.overview import overview
from udpdiff.report.pages.provenance import provenance
from udpdiff.report.pages.samples import samples
from udpdiff.report.pages.tables import tables
from udpdiff.report.pages.training import training
from udpdiff.report.site import Page, write_site


def render(inputs: Inputs, folder: Path) -> dict[str, float]:
    """Write the site: its pages into `folder`, their data into `folder/data`, films and pictures into `folder/media`.

    Args:
        inputs: What the pages read.
        folder: Of the site; its first page is `index.html`.

    Returns:
        The figures of quality.json, cost included.
    """
    media = folder / "media"
    generated = samples(inputs, media)
    pages = [
        Page("index", "Overview", overview(inputs, generated), ("film.js", "overview.js")),
        Page("samples", "Samples", generated, ("film.js", "samples.js")),
        Page("tables", "Tables", tables(inputs, media, generated), ("tables.js",)),
        _data_set(inputs, media),
        Page("training", "Training", training(inputs, media), ("charts.js", "training.js")),
        Page("goals", "Goals", goals(inputs, media)),
        _provenance(inputs, media),
    ]
    write_site(folder, pages, {"config": inputs.config})
    return inputs.figures


def render_labels(inputs: Inputs, folder: Path) -> None:
    """Write the pages on the data set and how it was made alone, before any model is trained or sampled.

    Args:
        inputs: What the pages read; of measurements the figures of the labels, where there is a truth.
        folder: Of the site; its first page is `data_set.html`.
    """
    media = folder / "media"
    write_site(folder, [_data_set(inputs, media), _provenance(inputs, media)], {"config": inputs.config})


def _data_set(inputs: Inputs, media: Path) -> Page:
    return Page("data_set", "Data set", data_set(inputs, media), ("charts.js", "data_set.js"))


def _provenance(inputs: Inputs, media: Path) -> Page:
    return Page("provenance", "Provenance", provenance(inputs, media), ("charts.js", "provenance.js"))
