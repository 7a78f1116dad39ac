"""Which run, task and figures stand behind each row of tables 1-9; runs are cited by their name in the configuration.

Knows names only: no files, no numbers. The paper's numbers are in `paper`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from udpdiff.metrics.registry import RUNTIME_PARTS, describe, is_own_smoothness, of_real
from udpdiff.tables.paper import BC, MS, SC


@dataclass(frozen=True)
class Metric:
    """A column of a table.

    Attributes:
        name: Its key, as in `paper`.
        sources: Keys of the figures that may fill it, the first one found does.
        label: Heading for people, of the first source, as all that follows.
        unit: Of the printed value.
        scale: Our value times this is printed.
        direction: Which values are better.
    """

    name: str
    sources: tuple[str, ...]
    label: str
    unit: str
    scale: float
    direction: str

    def source_among(self, names: Collection[str], prefix: str = "") -> str | None:
        """Return the figure that fills the column, of figures whose names begin with a prefix; None for none of them.

        A user's own network fills the column of smoothness before the average of frames does.
        """
        own = sorted(name for name in names if name.startswith(prefix) and is_own_smoothness(name.removeprefix(prefix)))
        own = [name for name in own if not name.endswith(of_real(""))] if self.name == MS else []
        first, *others = (f"{prefix}{source}" for source in self.sources)
        return next((name for name in (first, *own, *others) if name in names), None)


@dataclass(frozen=True)
class Row:
    """One model of a table.

    Attributes:
        label: As `paper` has it.
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


def _metric(name: str, *sources: str) -> Metric:
    """A column of figures from the registry; of the figure called `name` without sources."""
    sources = sources or (name,)
    figure = describe(sources[0])
    return Metric(name, sources, figure.label, figure.unit, figure.scale, figure.direction)


# The frame average stands in where no AMT is given; the extractor's column says which it was.
_CONSISTENCY = (_metric(SC), _metric(BC), _metric(MS, MS, f"{MS}_blend"))
_WITH_FVD = (*_CONSISTENCY, _metric("fvd"))
# Consistencies and smoothness are never shown without how much moves.
_MOTION = tuple(
    _metric(name)
    for name in ("dynamic_degree", "dynamic_degree_real", "dynamic_share", "prompt_fidelity", "prompt_fidelity_real")
)
_FVD_EXTRA = (_metric("fvd_infinity"), _metric("kvd"), _metric("fvd_floor"), *_MOTION, _metric("kernel_distance"))
# The paper's depth figures look like [0, 1] maps compared without alignment; ours after alignment follow as extra.
_DEPTH = (_metric("delta1", "depth_delta1_unaligned"), _metric("rmse", "depth_rmse_unaligned"))
_DEPTH_EXTRA = (
    _metric("delta1_aligned", "depth_delta1"),
    _metric("rmse_aligned", "depth_rmse"),
    _metric("delta1_shuffled", "depth_delta1_shuffled"),
    _metric("delta1_constant", "depth_delta1_constant"),
    _metric("temporal_gradient_error", "depth_temporal_gradient_error"),
    _metric("flow_error", "depth_flow_error"),
    _metric("flow_error_labels", "depth_flow_error_labels"),
)
# What the paper never measured of its entities. Few: every column that can be better or worse is one more to correct for.
_ENTITIES = tuple(
    _metric(name) for name in ("entity_tube_pq", "entity_j_and_f", "entity_j_and_f_shuffled", "entity_flow_iou")
)
_RUNTIME = (_metric("runtime_seconds"),)
_RUNTIME_EXTRA = tuple(_metric(f"runtime_{part}_seconds") for part in RUNTIME_PARTS)

# Number -> (label of the row, run, task), the paper's columns, ours.
_SPECS = {
    1: ([("CogVideoX 5B", "base", "video"), ("UDPDiff (segmentation)", "seg", "seg"), ("UDPDiff (depth estimation)", "depth", "depth")], _CONSISTENCY, _MOTION),
    2: ([("CogVideoX 5B", "base", "video"), ("UDPDiff (seg)", "multi", "seg"), ("UDPDiff (depth)", "multi", "depth")], _WITH_FVD, _FVD_EXTRA),
    3: ([("Depth Anything V2", "multi", "depth", "depth_anything"), ("UDPDiff (multi-depth)", "multi", "depth")], _DEPTH, _DEPTH_EXTRA),
    4: ([("CogVideoX 5B", "base", "video"), ("Ours (single task)", "depth", "depth"), ("Ours (multi task)", "multi", "depth")], _RUNTIME, _RUNTIME_EXTRA),
    5: ([("Text prompt", "multi_text", "depth"), ("Task embedding", "multi", "depth")], _WITH_FVD, _FVD_EXTRA),
    6: ([("Location-aware colormap", "seg_location", "seg"), ("Pixelplanes", "seg", "seg")], _CONSISTENCY, (*_MOTION, *_ENTITIES)),
    7: ([("(0.3 segmentation, 0.7 depth)", "multi_30_70", "depth"), ("(0.7 segmentation, 0.3 depth)", "multi_70_30", "depth"), ("(0.5 segmentation, 0.5 depth)", "multi", "depth")], _CONSISTENCY, _MOTION),
    8: ([("Depth Anything V2", "depth_anything", "depth"), ("DepthCrafter", "depth", "depth")], _CONSISTENCY, _MOTION),
    9: ([("8×8", "seg_grid8", "seg"), ("12×12", "seg_grid12", "seg"), ("EntitySeg", "seg", "seg")], _CONSISTENCY, (*_MOTION, *_ENTITIES)),
}  # fmt: skip
TABLES: dict[int, TableSpec] = {
    number: TableSpec(number, tuple(Row(*row) for row in rows), metrics, extra)
    for number, (rows, metrics, extra) in _SPECS.items()
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
