"""Fills a table: our figures with their intervals beside the paper's, never in one column.

Reads files of measurements, each {"run", "task", "seed", "n", "metrics": {name: {"value", "low", "high", "n",
"per_video", "extractor"}}}; knows nothing of how they came about.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from udpdiff.storage.sealed import read_record
from udpdiff.tables.paper import PAPER_TABLES
from udpdiff.tables.specs import Metric, Row, needed, table_spec

if TYPE_CHECKING:
    import pandas

_FIELDS = ("value", "low", "high", "n", "per_video", "extractor")


def fill_table(number: int, measured_paths: Sequence[str | Path]) -> pandas.DataFrame:
    """Return a table of the paper with one row per model, as it is written to csv.

    Columns: model; run, task (where ours comes from); per metric `NAME_ours`, `NAME_ours_low`, `NAME_ours_high` (95 %
    interval), `NAME_paper`; n_videos; per metric `NAME_extractor`, which also names the figure when it is not the
    paper's. Consistencies and smoothness are x 100 as in the paper; `metrics.registry` holds every unit. A figure that
    was not measured stays empty.

    Args:
        number: Of the table.
        measured_paths: Files of measurements of its runs.

    Raises:
        ValueError: There is no such table, or a run that it cites is in none of the files.
    """
    import pandas

    spec, measured = table_spec(number), read_measurements(number, measured_paths)
    printed = PAPER_TABLES[number]
    rows = []
    for row in spec.rows:
        figures = measured[row.run, row.task]
        cells = {"model": row.label, "run": row.run, "task": row.task}
        if printed.notes:
            cells["training_data_paper"] = printed.notes[row.label]
        counts, extractors = [], {}
        for metric in (*spec.metrics, *spec.extra):
            name, figure = _find(figures, metric, row)
            cells |= _values(metric, figure, printed.rows[row.label].get(metric.name))
            if figure:
                counts.append(figure["n"])
                extractors[f"{metric.name}_extractor"] = _extractor(metric, row, name, figure)
        cells["n_videos"] = max(counts, default=0)
        rows.append(cells | extractors)
    table = pandas.DataFrame(rows)
    trailing = [column for column in table.columns if column == "n_videos" or column.endswith("_extractor")]
    return table[[column for column in table.columns if column not in trailing] + trailing]


def compare_rows(number: int, measured_paths: Sequence[str | Path]) -> pandas.DataFrame:
    """Return each row of a table against its first row, video by video: mean difference and its 95 % interval.

    Columns: metric, model, minus (the first row's label), difference, low, high, n. Only figures that exist per video
    and for the same videos on both sides; units as in the table.
    """
    import pandas

    from udpdiff.metrics.bootstrap import bootstrap_difference

    spec, measured = table_spec(number), read_measurements(number, measured_paths)
    first, lines = spec.rows[0], []
    for row in spec.rows[1:]:
        for metric in spec.metrics:
            _, base = _find(measured[first.run, first.task], metric, first)
            _, ours = _find(measured[row.run, row.task], metric, row)
            if not base or not ours or not ours["per_video"] or len(base["per_video"]) != len(ours["per_video"]):
                continue
            pairs = [
                pair for pair in zip(ours["per_video"], base["per_video"], strict=True) if None not in pair
            ]  # null: left out of the figure
            if not pairs:
                continue
            gap = bootstrap_difference(*zip(*pairs, strict=True))
            ends = [metric.scale * end for end in (gap.value, gap.low, gap.high)]
            lines.append((metric.name, row.label, first.label, *ends, gap.n))
    return pandas.DataFrame(lines, columns=["metric", "model", "minus", "difference", "low", "high", "n"])


def read_measurements(number: int, measured_paths: Sequence[str | Path]) -> dict[tuple[str, str], dict[str, dict]]:
    """Return the figures that a table needs, of all files joined: (run, task) -> name -> fields."""
    measured: dict[tuple[str, str], dict[str, dict]] = {}
    for path in measured_paths:
        document = read_record(path)
        for name, figure in document["metrics"].items():
            lacking = [field for field in _FIELDS if field not in figure]
            if lacking:
                raise ValueError(f"{path}: metric {name} lacks {', '.join(lacking)}; expected {', '.join(_FIELDS)}.")
        measured.setdefault((document.get("run"), document.get("task")), {}).update(document["metrics"])
    missing = [f"{run}/{task}" for run, task in needed(number) if (run, task) not in measured]
    if missing:
        raise ValueError(
            f"Table {number}: no measurements of {', '.join(missing)} in the {len(measured_paths)} files given; build "
            f"them with `snakemake results/table{number}.csv`."
        )
    return measured


def _find(figures: dict[str, dict], metric: Metric, row: Row) -> tuple[str, dict | None]:
    for source in metric.sources:
        name = f"{row.prefix}{source}"
        if name in figures:
            return name, figures[name]
    return "", None


def _values(metric: Metric, figure: dict | None, printed: float | None) -> dict[str, float]:
    keys = {"value": "_ours", "low": "_ours_low", "high": "_ours_high"}
    cells = {
        f"{metric.name}{suffix}": math.nan if not figure or figure[key] is None else metric.scale * figure[key]
        for key, suffix in keys.items()
    }
    return cells | {f"{metric.name}_paper": math.nan if printed is None else printed}


def _extractor(metric: Metric, row: Row, name: str, figure: dict) -> str:
    """What made the figure; named in full when the figure is not the one the paper reports."""
    own = name != f"{row.prefix}{metric.sources[0]}"
    return f"{name}: {figure['extractor']}" if own else str(figure["extractor"])
