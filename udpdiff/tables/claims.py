"""What the paper claims, a line for each: its words in short, where they stand, and the comparisons that they are.

Data, and which runs it needs. What our figures say to each is in `verdicts`.

Source: Yang et al., Unified Dense Prediction of Video Diffusion, CVPR 2025, tables 1-9 and sections 4.2 to 4.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from udpdiff.tables.paper import BC, MS, PAPER_TABLES, SC
from udpdiff.tables.specs import Metric, Row, table_spec

Place = tuple[int, str]  # a table's number and the label of one of its rows


@dataclass(frozen=True)
class Part:
    """One comparison of a claim.

    Attributes:
        row: Of which the claim is.
        against: What it is set against.
        metric: Of both rows' tables.
        relation: What the paper says of row against `against`.
        margin: For comparable rows, how far apart they may be: in the table's units, or as a share of `against`'s value
            where `relative`. It is ours: the paper names none.
        relative: See margin.
    """

    row: Place
    against: Place
    metric: str
    relation: Literal["better", "comparable"] = "better"
    margin: float | None = None
    relative: bool = False

    @property
    def table(self) -> int | None:
        """The number of the table that both rows stand in; None for rows of two tables."""
        return self.row[0] if self.row[0] == self.against[0] else None

    def rows(self) -> tuple[Row, Row]:
        """Return row and against, as specified."""
        return row_of(self.row), row_of(self.against)

    def column(self) -> Metric:
        """Return the column that is compared."""
        return next(metric for metric in table_spec(self.row[0]).metrics if metric.name == self.metric)

    def printed_difference(self) -> float:
        """Return what the paper's own numbers give, row minus against."""
        values = [PAPER_TABLES[number].rows[label][self.metric] for number, label in (self.row, self.against)]
        return values[0] - values[1]


@dataclass(frozen=True)
class Claim:
    """A claim in short, the section and table that it stands in, and its comparisons; none where the paper gives no figure."""

    says: str
    section: str
    table: int | None
    parts: tuple[Part, ...]


def row_of(place: Place) -> Row:
    """Return the row of a table by its label."""
    return next(row for row in table_spec(place[0]).rows if row.label == place[1])


def needed() -> list[tuple[str, str]]:
    """Return the (run, task) pairs of claims across tables, each once: those within a table are its own."""
    parts = [part for claim in CLAIMS for part in claim.parts if part.table is None]
    return list(dict.fromkeys((row.run, row.task) for part in parts for row in part.rows()))


def _all(row: Place, against: Place, *metrics: str, **how) -> tuple[Part, ...]:
    return tuple(Part(row, against, metric, **how) for metric in metrics)


_VBENCH, _FVD = (SC, BC, MS), "fvd"
_BASE_1, _SEG_1, _DEPTH_1 = ((1, label) for label in PAPER_TABLES[1].rows)
_BASE_2, _SEG_2, _DEPTH_2 = ((2, label) for label in PAPER_TABLES[2].rows)
_ESTIMATOR, _PREDICTED = ((3, label) for label in PAPER_TABLES[3].rows)
_BASE_4, _SINGLE, _MULTI = ((4, label) for label in PAPER_TABLES[4].rows)
_TEXT, _EMBEDDING = ((5, label) for label in PAPER_TABLES[5].rows)
_LOCATION, _PIXELPLANES = ((6, label) for label in PAPER_TABLES[6].rows)
_LESS_SEG, _MORE_SEG, _EQUAL = ((7, label) for label in PAPER_TABLES[7].rows)
_BY_FRAME, _BY_VIDEO = ((8, label) for label in PAPER_TABLES[8].rows)
_GRID_8, _GRID_12, _ENTITIES = ((9, label) for label in PAPER_TABLES[9].rows)
_HALF_A_POINT = {"relation": "comparable", "margin": 0.5}
_AS_FAST = {"relation": "comparable", "margin": 0.05, "relative": True}

CLAIMS: tuple[Claim, ...] = (
    Claim("Learning segmentation makes videos more consistent and smoother than CogVideoX.", "4.2", 1, _all(_SEG_1, _BASE_1, *_VBENCH)),
    Claim("Learning depth makes videos more consistent and smoother than CogVideoX.", "4.2", 1, _all(_DEPTH_1, _BASE_1, *_VBENCH)),
    Claim("With several tasks, videos beside depth have a significantly better FVD than CogVideoX.", "4.3", 2, _all(_DEPTH_2, _BASE_2, _FVD)),
    Claim("With several tasks, videos beside segmentation have a significantly better FVD than CogVideoX.", "4.3", 2, _all(_SEG_2, _BASE_2, _FVD)),
    Claim("With several tasks, videos beside depth surpass CogVideoX in both consistencies and smoothness.", "4.3", 2, _all(_DEPTH_2, _BASE_2, *_VBENCH)),
    Claim("With several tasks, videos beside segmentation surpass CogVideoX in subject consistency and smoothness.", "4.3", 2, _all(_SEG_2, _BASE_2, SC, MS)),
    Claim("With several tasks, the background consistency beside segmentation is comparable with CogVideoX.", "4.3", 2, _all(_SEG_2, _BASE_2, BC, **_HALF_A_POINT)),
    Claim("One model of both tasks outperforms the model of depth alone.", "4.3", None, _all(_DEPTH_2, _DEPTH_1, *_VBENCH)),
    Claim("One model of both tasks outperforms the model of segmentation alone.", "4.3", None, _all(_SEG_2, _SEG_1, *_VBENCH)),
    Claim("The generated depth, of an acceptable accuracy, stays behind Depth Anything V2 on the same videos.", "4.3", 3, _all(_ESTIMATOR, _PREDICTED, "delta1", "rmse")),
    Claim("Objects keep their look, and motion is smoother than CogVideoX's (figure 3).", "4.4", 2, _all(_DEPTH_2, _BASE_2, SC, MS)),
    Claim("Motion is more realistic, and entities are clearer and sharper in dense scenes (figure 4).", "4.4", None, ()),
    Claim("Segmentation and depth of high quality come beside the video (figure 5).", "4.4", None, ()),
    Claim("A model of one task is as fast as CogVideoX, within the range of uncertainty.", "4.5", 4, _all(_SINGLE, _BASE_4, "runtime_seconds", **_AS_FAST)),
    Claim("A model of several tasks is as fast as CogVideoX, within the range of uncertainty.", "4.5", 4, _all(_MULTI, _BASE_4, "runtime_seconds", **_AS_FAST)),
    Claim("Learned task embeddings are better than naming the task in the prompt.", "4.5", 5, _all(_EMBEDDING, _TEXT, *_VBENCH, _FVD)),
    Claim("Pixelplanes are better for video than the location-aware colormap.", "4.5", 6, _all(_PIXELPLANES, _LOCATION, *_VBENCH)),
    Claim("Equal shares of segmentation and depth are better than more depth.", "4.5", 7, _all(_EQUAL, _LESS_SEG, *_VBENCH)),
    Claim("Equal shares of segmentation and depth are better than more segmentation.", "4.5", 7, _all(_EQUAL, _MORE_SEG, *_VBENCH)),
    Claim("Segmentation and depth guide the video to a comparable degree.", "4.5", 7, _all(_MORE_SEG, _LESS_SEG, *_VBENCH, **_HALF_A_POINT)),
    Claim("Depth that is estimated over the video teaches more than depth frame by frame.", "4.5", 8, _all(_BY_VIDEO, _BY_FRAME, *_VBENCH)),
    Claim("Entities of the first frame prompt SAM 2 better than a grid of 8 x 8 points.", "4.5", 9, _all(_ENTITIES, _GRID_8, *_VBENCH)),
    Claim("Entities of the first frame prompt SAM 2 better than a grid of 12 x 12 points.", "4.5", 9, _all(_ENTITIES, _GRID_12, *_VBENCH)),
)  # fmt: skip
