"""Reads files of measurements for tables and comparisons: the figures of every training of a run, values by clip id.

A file is {"run", "task", "seed", "n", "clips", "metrics": {name: {"value", "low", "high", "n", "per_video", "clips",
"extractor"}}}; see `metrics.evaluate`. Knows nothing of how the figures came about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from udpdiff.metrics.records import by_clip
from udpdiff.replicates import number_of, run_of
from udpdiff.storage.sealed import read_record
from udpdiff.tables.specs import Metric, Row

_FIELDS = ("value", "low", "high", "n", "per_video", "clips", "extractor")


@dataclass(frozen=True)
class Figures:
    """Figures of one training of a run and one task, of all its files: fields by name, and name -> clip id -> value."""

    fields: dict[str, dict] = field(default_factory=dict)
    values: dict[str, dict[str, float | None]] = field(default_factory=dict)

    def find(self, metric: Metric, row: Row) -> str | None:
        """Return the name of the figure that fills a column for a row; None where it was not measured."""
        return metric.source_among(self.fields, row.prefix)


# (run, task) -> its trainings, in the order of their numbers.
Measured = dict[tuple[str, str], list[Figures]]


def read_measurements(paths: Iterable[str | Path]) -> Measured:
    """Return the figures of all files, those of one training and task joined.

    Raises:
        ValueError: A figure lacks a field.
    """
    found: dict[tuple[str, str], dict[int, Figures]] = {}
    for path in paths:
        document = read_record(path)
        training, task = document["run"], document["task"]
        figures = found.setdefault((run_of(training), task), {}).setdefault(number_of(training), Figures())
        for name, figure in document["metrics"].items():
            lacking = [field for field in _FIELDS if field not in figure]
            if lacking:
                raise ValueError(
                    f"{path}: metric {name} lacks {', '.join(lacking)}; expected {', '.join(_FIELDS)}. An earlier version "
                    f"wrote it: delete the file, and the workflow measures again."
                )
            figures.fields[name] = figure
            figures.values[name] = by_clip(document, name)
    return {pair: [trainings[number] for number in sorted(trainings)] for pair, trainings in found.items()}


def check_measured(number: int, pairs: Sequence[tuple[str, str]], measured: Measured) -> None:
    """Raise ValueError when a table's (run, task) pairs are not all measured."""
    missing = [f"{run}/{task}" for run, task in pairs if (run, task) not in measured]
    if missing:
        raise ValueError(
            f"Table {number}: no measurements of {', '.join(missing)} in the files given; build them with "
            f"`snakemake --cores all results/table{number}.csv`."
        )
