"""The paper's tables: ours with intervals and verdicts, the paper's values beside them, and the runs against the base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import Field

from udpdiff.report.against_base import AgainstBase, against_base
from udpdiff.report.inputs import Inputs
from udpdiff.report.latex import tabular
from udpdiff.report.pages.samples import Samples
from udpdiff.report.printing import figure as printed
from udpdiff.report.site import PageData
from udpdiff.storage.files import write_text
from udpdiff.storage.sealed import check_file
from udpdiff.tables import specs
from udpdiff.tables.fill import figure_behind
from udpdiff.tables.paper import PAPER_TABLES

_CONSISTENT = ("_consistency", "_smoothness")  # which still videos have best
_MOTION = "dynamic_degree"
PAPERS_SMOOTHNESS = "by AMT"  # the only figure of the paper's in whose place another one may stand


class Column(PageData):
    name: str
    label: str
    unit: str
    direction: str = Field(description="Which values are better: higher, lower or neither.")
    printed: bool = Field(description="Whether the paper has the column.")
    papers: str = Field(description="What the paper's values are called; of another figure than ours, they say so.")
    words: str = Field(description="What it means.")
    folded: bool = Field(description="Whether the page shows it with all columns alone.")


class Cell(PageData):
    """A figure of a row, in the unit of its column; what is not known is null."""

    ours: float | None
    low: float | None = Field(description="End of the 95 % interval.")
    high: float | None
    paper: float | None
    verdict: str | None = Field(
        description="Against the table's first row: better, worse, no difference shown, too few to tell."
    )
    difference: float | None = Field(description="To the table's first row, paired by prompt and noise.")
    difference_low: float | None
    difference_high: float | None
    p: float | None = Field(description="Of the permutation test, corrected over the table (Holm).")
    warning: str | None = Field(description="Why the figure is worth little.")
    note: str | None = Field(description="Of a distance of sets: its number, dimensions and floor.")
    figure: str | None = Field(description="Figure of single samples behind the cell; null for figures of the set.")


class Row(PageData):
    model: str
    run: str
    task: str
    labeller: str | None = Field(
        description="Whose labels of the run's videos the row is of; null: of what the run made."
    )
    n: int | None
    about: str | None = Field(description="What a verdict is about: these weights, or the method.")
    reference: bool = Field(description="Whether the table's other rows are compared with this one.")
    cells: list[Cell]


class Table(PageData):
    number: int
    title: str
    heading: str = Field(description="Of the first column.")
    columns: list[Column]
    rows: list[Row]
    warnings: list[str] = Field(description="Of the cells, those that say the same of several rows once.")
    extractors: list[str]
    csv: str = Field(description="File beside this one.")
    latex: str


class Tables(PageData):
    tables: list[Table]
    against_base: AgainstBase | None
    seeds: str | None = Field(description="What verdicts are about, in a sentence.")
    scale: str | None


def tables(inputs: Inputs, media: Path, samples: Samples) -> Tables:
    """Return what the page shows; csv and LaTeX of every table are written beside the pages' data."""
    sortable = {(pair.run, pair.task): set(pair.scores) for pair in samples.pairs}
    folder = media.parent / "data"
    verdicts = inputs.verdicts() or {}
    return Tables(
        tables=[
            _table(number, inputs.path(f"results/table{number}.csv"), sortable, folder) for number in inputs.job.tables
        ],
        against_base=against_base(inputs),
        seeds=verdicts.get("seeds", {}).get("words"),
        scale=inputs.scale_words(),
    )


def _table(number: int, path: Path, sortable: dict[tuple[str, str], set[str]], folder: Path) -> Table:
    check_file(path)
    spec, frame = specs.TABLES[number], pd.read_csv(path)
    metrics = [metric for metric in (*spec.metrics, *spec.extra) if f"{metric.name}_ours" in frame.columns]
    # Of ours those that were not measured are left out; the paper's stay, for they have its values.
    metrics = [metric for metric in metrics if metric in spec.metrics or frame[f"{metric.name}_ours"].notna().any()]
    metrics = _with_motion_in_place(metrics)
    lines = frame.astype(object).where(frame.notna(), None).to_dict("records")
    reference = lines[0] if any(line.get("about") for line in lines) else None
    columns = [_column(metric, spec, frame) for metric in metrics]
    labellers = {row.label: row.labeller for row in spec.rows}
    rows = [_row(line, line is reference, labellers.get(line["model"]), metrics, sortable) for line in lines]
    table = Table(
        number=number,
        title=PAPER_TABLES[number].title,
        heading=PAPER_TABLES[number].heading,
        columns=columns,
        rows=rows,
        warnings=_warnings(columns, rows),
        extractors=_extractors(frame, metrics, columns),
        csv=f"table{number}.csv",
        latex="",
    )
    table = table.model_copy(update={"latex": _latex(table)})
    write_text(folder / table.csv, path.read_text())
    write_text(folder / f"table{number}.tex", table.latex)
    return table


def _with_motion_in_place(metrics: list[specs.Metric]) -> list[specs.Metric]:
    """Return the columns with how much moves right behind the consistencies, where there are any."""
    motion = [metric for metric in metrics if metric.name.startswith(_MOTION)]
    others = [metric for metric in metrics if metric not in motion]
    consistent = [place for place, metric in enumerate(others) if metric.name.endswith(_CONSISTENT)]
    place = consistent[-1] + 1 if consistent else len(others)
    return [*others[:place], *motion, *others[place:]]


def _column(metric: specs.Metric, spec: specs.TableSpec, frame: pd.DataFrame) -> Column:
    figure = figure_behind(metric, _made_by(frame, metric))
    # The paper's columns come first, with how much moves and with what is better or worse; a wide table hides the rest.
    first = metric in spec.metrics or metric.name == _MOTION
    verdicts = set(frame[f"{metric.name}_verdict"]) if f"{metric.name}_verdict" in frame.columns else set()
    return Column(
        name=metric.name,
        label=figure.label,
        unit=metric.unit,
        direction=metric.direction,
        printed=metric in spec.metrics,
        papers="paper" if figure.key == metric.sources[0] else f"paper, {PAPERS_SMOOTHNESS}",
        words=figure.words,
        folded=not first and not verdicts & {"better", "worse"},
    )


def _row(
    line: dict[str, Any],
    reference: bool,
    labeller: str | None,
    metrics: list[specs.Metric],
    sortable: dict[tuple[str, str], set[str]],
) -> Row:
    known = sortable.get((line["run"], line["task"]), set())
    return Row(
        model=line["model"],
        run=line["run"],
        task=line["task"],
        labeller=labeller,
        n=line["n_videos"],
        about=line.get("about"),
        reference=reference,
        cells=[_cell(line, metric, known) for metric in metrics],
    )


def _cell(line: dict[str, Any], metric: specs.Metric, known: set[str]) -> Cell:
    ends = {"ours": "_ours", "low": "_ours_low", "high": "_ours_high", "paper": "_paper", "verdict": "_verdict"}
    ends |= {"difference": "_difference", "difference_low": "_difference_low", "difference_high": "_difference_high"}
    ends |= {"p": "_p", "warning": "_warning"}
    found = {name: line.get(f"{metric.name}{suffix}") for name, suffix in ends.items()}
    parts = {name: line.get(f"{metric.name}_{name}") for name in ("n", "dimensions", "floor_at_n")}
    note = None
    if parts["dimensions"] is not None:
        note = f"N = {parts['n']:.0f}, D = {parts['dimensions']:.0f}"
        note += "" if parts["floor_at_n"] is None else f", floor {printed(parts['floor_at_n'])}"
    return Cell(**found, note=note, figure=metric.source_among(known))


def _made_by(frame: pd.DataFrame, metric: specs.Metric) -> list[str]:
    column = f"{metric.name}_extractor"
    return sorted(set(frame[column].dropna())) if column in frame.columns else []


def _warnings(columns: list[Column], rows: list[Row]) -> list[str]:
    """What cells warn of: column by column, each sentence once, with the rows that it is of unless it is of all."""
    lines = []
    for index, column in enumerate(columns):
        models: dict[str, list[str]] = {}
        for row in rows:
            if warning := row.cells[index].warning:
                models.setdefault(warning, []).append(row.model)
        for warning, of in models.items():
            whose = "" if len(of) == len(rows) else f" of {', '.join(of)}"
            lines.append(f"{column.label}{whose}: {warning}")
    return lines


def _extractors(frame: pd.DataFrame, metrics: list[specs.Metric], columns: list[Column]) -> list[str]:
    """What made the figures, those that one extractor made in one line."""
    labels: dict[str, list[str]] = {}
    for metric, column in zip(metrics, columns, strict=True):
        if names := _made_by(frame, metric):
            labels.setdefault(", ".join(names), []).append(column.label)
    return [f"{', '.join(made)}: {names}" for names, made in labels.items()]


def _latex(table: Table) -> str:
    headings, rows = [table.heading], [[row.model] for row in table.rows]
    for index, column in enumerate(table.columns):
        headings += [f"{column.label}{column.unit and ', ' + column.unit}"] + [column.papers] * column.printed
        for cells, row in zip(rows, table.rows, strict=True):
            cell = row.cells[index]
            ends = "" if None in (cell.low, cell.high) else f" [{printed(cell.low)}, {printed(cell.high)}]"
            cells += [f"{printed(cell.ours)}{ends}"] + [printed(cell.paper)] * column.printed
    return tabular(headings, rows, f"{table.title} (table {table.number} of the paper), with 95 % intervals.")
