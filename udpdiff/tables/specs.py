"""Which run, task and figures stand behind each row of tables 1-9; runs are cited by their name in the configuration.

Knows names only: no files, no numbers. The paper's numbers are in `paper`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from udpdiff.metrics.registry import RUNTIME_PARTS, describe
from udpdiff.tables.paper import BC, MS, SC
from udpdiff.tasks.figure import Figure


@dataclass(frozen=True)
class Metric:
    """A column of a table.

    Attributes:
        name: Its key, as in `paper`.
        sources: Keys of the figures that may fill it, the first one found does.
    """

    name: str
    sources: tuple[str, ...]

    @property
    def figure(self) -> Figure:
        """How its first source is called and printed; the others are printed alike."""
        return describe(self.sources[0])


@dataclass(frozen=True)
class Row:
    """One model of a table.

    Attributes:
        label: As the paper prints it.
        run: Where our figures come from.
        task: The same.
        labeller: The row is of this labeller's labels of the run's videos, not of what the run predicts.
    """

    label: str
    run: str
    task: str
    labeller: str | None = None

    @property
    def prefix(self) -> str:
        """Before the names of the row's figures."""
        return f"{self.labeller}_" if self.labeller else ""


@dataclass(frozen=True)
class TableSpec:
    """metrics are the paper's columns, extra ones of ours follow them (the paper has no value there)."""

    number: int
    rows: tuple[Row, ...]
    metrics: tuple[Metric, ...]
    extra: tuple[Metric, ...] = ()


def _same(*keys: str) -> tuple[Metric, ...]:
    return tuple(Metric(key, (key,)) for key in keys)


# The frame average stands in where no AMT is given; the extractor's column says which it was.
_CONSISTENCY = (*_same(SC, BC), Metric(MS, (MS, f"{MS}_blend")))
_CONSISTENCY_AND_FVD = (*_CONSISTENCY, *_same("fvd"))
_FVD_EXTRA = _same("fvd_infinity", "kvd", "fvd_floor")
# The paper's depth figures look like [0, 1] maps compared without alignment; ours after alignment follow as extra.
_DEPTH = (Metric("delta1", ("depth_delta1_unaligned",)), Metric("rmse", ("depth_rmse_unaligned",)))
_DEPTH_EXTRA = (
    Metric("delta1_aligned", ("depth_delta1",)),
    Metric("rmse_aligned", ("depth_rmse",)),
    Metric("delta1_shuffled", ("depth_delta1_shuffled",)),
    Metric("delta1_constant", ("depth_delta1_constant",)),
)
_RUNTIME = _same("runtime_seconds")
_RUNTIME_EXTRA = _same(*(f"runtime_{part}_seconds" for part in RUNTIME_PARTS))

TABLES: dict[int, TableSpec] = {
    spec.number: spec
    for spec in (
        TableSpec(
            1,
            (
                Row("CogVideoX 5B", "base", "video"),
                Row("UDPDiff (segmentation)", "seg", "seg"),
                Row("UDPDiff (depth estimation)", "depth", "depth"),
            ),
            _CONSISTENCY,
        ),
        TableSpec(
            2,
            (
                Row("CogVideoX 5B", "base", "video"),
                Row("UDPDiff (seg)", "multi", "seg"),
                Row("UDPDiff (depth)", "multi", "depth"),
            ),
            _CONSISTENCY_AND_FVD,
            _FVD_EXTRA,
        ),
        TableSpec(
            3,
            (
                Row("Depth Anything V2", "multi", "depth", labeller="depth_anything"),
                Row("UDPDiff (multi-depth)", "multi", "depth"),
            ),
            _DEPTH,
            _DEPTH_EXTRA,
        ),
        TableSpec(
            4,
            (
                Row("CogVideoX 5B", "base", "video"),
                Row("Ours (single task)", "depth", "depth"),
                Row("Ours (multi task)", "multi", "depth"),
            ),
            _RUNTIME,
            _RUNTIME_EXTRA,
        ),
        TableSpec(
            5,
            (Row("Text prompt", "multi_text", "depth"), Row("Task embedding", "multi", "depth")),
            _CONSISTENCY_AND_FVD,
            _FVD_EXTRA,
        ),
        TableSpec(
            6,
            (Row("Location-aware colormap", "seg_location", "seg"), Row("Pixelplanes", "seg", "seg")),
            _CONSISTENCY,
        ),
        TableSpec(
            7,
            (
                Row("(0.3, 0.7)", "multi_30_70", "depth"),
                Row("(0.7, 0.3)", "multi_70_30", "depth"),
                Row("(0.5, 0.5)", "multi", "depth"),
            ),
            _CONSISTENCY,
        ),
        TableSpec(
            8,
            (Row("Depth Anything V2", "depth_anything", "depth"), Row("DepthCrafter", "depth", "depth")),
            _CONSISTENCY,
        ),
        TableSpec(
            9,
            (
                Row("8×8", "seg_grid8", "seg"),
                Row("12×12", "seg_grid12", "seg"),
                Row("EntitySeg", "seg", "seg"),
            ),
            _CONSISTENCY,
        ),
    )
}


def needed(number: int) -> list[tuple[str, str]]:
    """The (run, task) pairs whose metrics table `number` reads, each once, in the order of its rows."""
    return list(dict.fromkeys((row.run, row.task) for row in table_spec(number).rows))


def comparators(run: str, task: str, numbers: Iterable[int]) -> list[str]:
    """The labellers that some tables set beside the predictions of a run, each once."""
    rows = (row for number in numbers for row in table_spec(number).rows)
    return list(dict.fromkeys(row.labeller for row in rows if row.labeller and (row.run, row.task) == (run, task)))


def table_spec(number: int) -> TableSpec:
    """The specification of a table; ValueError when the paper has none of that number."""
    if number not in TABLES:
        raise ValueError(f"Table: got {number!r}, expected one of {', '.join(map(str, TABLES))}.")
    return TABLES[number]
