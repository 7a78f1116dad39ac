"""Fills a table: our figures with their intervals beside the paper's, never in one column, and verdicts on rows.

Knows figures and comparisons; how the files are read is in `measured`, what is compared in `comparisons`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from udpdiff.metrics.registry import describe, is_own_smoothness
from udpdiff.tables.comparisons import compare
from udpdiff.tables.measured import Measured, check_measured
from udpdiff.tables.paper import PAPER_TABLES
from udpdiff.tables.specs import Metric, Row, TableSpec, needed, table_spec
from udpdiff.tasks.figure import Figure

if TYPE_CHECKING:
    import pandas


def fill_table(number: int, measured: Measured, comparisons: Sequence[dict] = ()) -> pandas.DataFrame:
    """Return a table of the paper with one row per model, as it is written to csv.

    Columns: model; run, task (where ours comes from); per metric `NAME_ours`, `NAME_ours_low`, `NAME_ours_high` (95 %
    interval), `NAME_paper`; n_videos; per metric `NAME_extractor`, which also names the figure when it is not the
    paper's. Consistencies and smoothness are x 100 as in the paper; `metrics.registry` holds every unit. A figure that
    was not measured stays empty. These are of the first training of each run.

    Then, of each row against the table's first one: per metric `NAME_verdict` ("better", "worse", "no difference
    shown", "too few to tell"), `NAME_difference`, `NAME_difference_low`, `NAME_difference_high`, `NAME_p` (Holm's over the table); seeds
    (trainings behind it) and about ("weights" or "method", which the verdict is about); of a distance of sets `NAME_n`,
    `NAME_dimensions`, `NAME_floor_at_n`, `NAME_warning`; and where a run was trained several times, `NAME_mean`,
    `NAME_mean_low`, `NAME_mean_high`: over its trainings, with the interval over trainings and prompts.

    Args:
        number: Of the table.
        measured: Figures of its runs.
        comparisons: As `compare_table` returns them; without any, the columns up to the extractors.

    Raises:
        ValueError: There is no such table, or a run that it cites was not measured.
    """
    import pandas

    spec, printed = table_spec(number), PAPER_TABLES[number]
    check_measured(number, needed(number), measured)
    rows = []
    for row in spec.rows:
        figures = measured[row.run, row.task][0]
        cells = {"model": row.label, "run": row.run, "task": row.task}
        if printed.notes:
            cells["training_data_paper"] = printed.notes[row.label]
        counts, extractors, distances = [], {}, {}
        for metric in (*spec.metrics, *spec.extra):
            name = figures.find(metric, row)
            figure = figures.fields.get(name)
            cells |= _values(metric, figure, printed.rows[row.label].get(metric.name))
            if figure:
                counts += [figure["n"]] if metric in spec.metrics else []  # figures of real videos are beside them
                extractors[f"{metric.name}_extractor"] = _extractor(metric, row, name, figure)
                distances |= _distance(metric, figure)
        cells["n_videos"] = max(counts, default=0)
        distances = distances if comparisons else {}
        rows.append((cells, extractors, _verdicts(row, comparisons), distances, _means(row, spec, measured)))
    table = pandas.DataFrame([cells | extractors for cells, extractors, *_ in rows])
    trailing = [column for column in table.columns if column == "n_videos" or column.endswith("_extractor")]
    table = table[[column for column in table.columns if column not in trailing] + trailing]
    appended = [pandas.DataFrame([row[part] for row in rows]) for part in (2, 3, 4)]
    return pandas.concat([table, *appended], axis=1)


def _verdicts(row: Row, comparisons: Sequence[dict]) -> dict:
    """Return the cells of a row's comparisons with the table's first row; none for that row itself."""
    first = comparisons[0]["against"]["label"] if comparisons else None
    own = [line for line in comparisons if (line["row"]["label"], line["against"]["label"]) == (row.label, first)]
    cells: dict = {}
    for line in own:
        name = line["metric"]
        cells |= {f"{name}_verdict": line["verdict"], f"{name}_difference": line["difference"]}
        cells |= {f"{name}_difference_{end}": line[end] for end in ("low", "high")}
        cells[f"{name}_p"] = line["p_corrected"]
    return cells | {"seeds": own[0]["seeds"], "about": own[0]["about"]} if own else {}


def _means(row: Row, spec: TableSpec, measured: Measured) -> dict:
    """Return the means of a row over several trainings of its run; nothing of a single one."""
    if len(measured[row.run, row.task]) < 2:
        return {}
    cells: dict = {}
    for metric in (*spec.metrics, *spec.extra):
        line = compare(row, None, metric, measured)
        ends = {"mean": line["difference"], "mean_low": line["low"], "mean_high": line["high"]}
        cells |= {f"{metric.name}_{name}": value for name, value in ends.items() if line["difference"] is not None}
    return cells


def _distance(metric: Metric, figure: dict) -> dict:
    """Return what a distance of sets is worth; nothing of another figure."""
    if "dimensions" not in figure:
        return {}
    floor = figure["floor"] if figure["floor"] is None else metric.scale * figure["floor"]
    values = {"n": figure["n"], "dimensions": figure["dimensions"], "floor_at_n": floor, "warning": figure["warning"]}
    return {f"{metric.name}_{name}": value for name, value in values.items()}


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


def figure_behind(metric: Metric, extractors: Collection[str]) -> Figure:
    """Return the figure that fills a column, by what stands in its `NAME_extractor`: the paper's where none is named."""
    named = {extractor.partition(": ")[0] for extractor in extractors}
    known = [name for name in named if name in metric.sources[1:] or is_own_smoothness(name)]
    return describe(known[0] if len(named) == len(known) == 1 else metric.sources[0])
