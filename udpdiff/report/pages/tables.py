"""The paper's tables: ours with intervals, the paper's values, and the runs against the base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from udpdiff.report.inputs import Inputs
from udpdiff.report.site import PageData
from udpdiff.storage.sealed import check_file
from udpdiff.tables import specs
from udpdiff.tables.paper import PAPER_TABLES
from udpdiff.workflow import VIDEO


class Tables(PageData):
    tables: list[dict[str, Any]]
    against_base: dict[str, Any] | None


def tables(inputs: Inputs, media: Path) -> Tables:
    """Return what the page shows."""
    found = [_table(number, inputs.path(f"results/table{number}.csv")) for number in inputs.job.tables]
    return Tables(tables=found, against_base=_against_base(inputs))


def _table(number: int, path: Path) -> dict[str, Any]:
    """A csv as rows for the page: every metric with ours, its interval and the paper's value apart."""
    check_file(path)
    spec, frame = specs.TABLES[number], pd.read_csv(path)
    columns = [metric for metric in (*spec.metrics, *spec.extra) if f"{metric.name}_ours" in frame.columns]
    made_by = {
        metric.label: sorted(set(frame[f"{metric.name}_extractor"].dropna()))
        for metric in columns
        if f"{metric.name}_extractor" in frame.columns
    }
    return {
        "number": number,
        "title": PAPER_TABLES[number].title,
        "metrics": [{"name": m.name, "label": m.label, "printed": m in spec.metrics} for m in columns],
        "rows": frame.astype(object).where(frame.notna(), None).to_dict("records"),
        "extractors": [f"{label}: {', '.join(names)}" for label, names in made_by.items() if names],
    }


def _against_base(inputs: Inputs) -> dict[str, Any] | None:
    """One row per run and task: its distances and its video loss as multiples of the base's; and their conditions."""
    found = inputs.against_base()
    if not found:
        return None
    measured = {run: each["metrics"] for run, each in found["variants"]["runs"].items()}
    pairs = [(run, task) for run, task in inputs.shown if run in measured and task != VIDEO]
    rows = [
        {"run": run, "task": task}
        | {name: measured[run].get(f"{name}_{task}") for name in ("fvd_ratio", "kvd_ratio")}
        | {name: measured[run].get(name) for name in ("video_loss", "video_loss_ratio")}
        for run, task in pairs
    ]
    return {"rows": rows, "conditions": found["conditions"]}
