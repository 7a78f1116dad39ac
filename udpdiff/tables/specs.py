"""Which run, task and figures stand behind each row of tables 1-9; runs are cited by their name in the configuration.

Knows names only: no files, no numbers. The paper's numbers are in `paper`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from udpdiff.tables.paper import BC, MS, SC


@dataclass(frozen=True)
class Metric:
    """A column of a table.

    name: its key, as in `paper`. label: heading for people. sources: names in the metrics files, the first one found is
    taken. scale: our value times this is printed. unit: of the printed value. higher_is_better.
    """

    name: str
    label: str
    sources: tuple[str, ...]
    scale: float = 1.0
    unit: str = ""
    higher_is_better: bool = True


@dataclass(frozen=True)
class Row:
    """label: as the paper prints it. run, task: where our figures come from. labeller: the row is of this labeller's
    labels of the run's videos, not of what the run predicts."""

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


_PERCENT = {"scale": 100.0, "unit": "x 100"}
_CONSISTENCY = (
    Metric(SC, "Subject consistency", (SC,), **_PERCENT),
    Metric(BC, "Background consistency", (BC,), **_PERCENT),
    # The frame average stands in where no AMT is given; the extractor's column says which it was.
    Metric(MS, "Motion smoothness", (MS, f"{MS}_blend"), **_PERCENT),
)
_FVD = Metric("fvd", "Frechet video distance", ("fvd",), higher_is_better=False)
_FVD_EXTRA = (
    Metric("fvd_infinity", "FVD, bias removed", ("fvd_infinity",), higher_is_better=False),
    Metric("kvd", "Kernel video distance", ("kvd",), higher_is_better=False),
    Metric("fvd_floor", "FVD of real against real halves", ("fvd_floor",), higher_is_better=False),
)
# The paper's depth figures look like [0, 1] maps compared without alignment; ours after alignment follow as extra.
_DEPTH = (
    Metric("delta1", "δ1", ("depth_delta1_unaligned",)),
    Metric("rmse", "RMSE", ("depth_rmse_unaligned",), higher_is_better=False),
)
_DEPTH_EXTRA = (
    Metric("delta1_aligned", "δ1, aligned per video", ("depth_delta1",)),
    Metric("rmse_aligned", "RMSE, aligned per video", ("depth_rmse",), higher_is_better=False),
    Metric("delta1_shuffled", "δ1, depths exchanged between videos", ("depth_delta1_shuffled",)),
    Metric("delta1_constant", "δ1, one mean map for all", ("depth_delta1_constant",)),
)
_SECONDS = {"unit": "seconds", "higher_is_better": False}
_RUNTIME = (Metric("runtime_seconds", "Run time", ("runtime_seconds",), **_SECONDS),)
_RUNTIME_EXTRA = tuple(
    Metric(
        f"runtime_{part}_seconds", f"Run time of the {part.replace('_', ' ')}", (f"runtime_{part}_seconds",), **_SECONDS
    )
    for part in ("text_encoder", "transformer", "vae")
)

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
            (*_CONSISTENCY, _FVD),
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
            (*_CONSISTENCY, _FVD),
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
