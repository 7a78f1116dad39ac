"""What the page of the data set publishes about labels: figures of every variant, their spread, the worst and the first clips.

Types alone; `label_page` fills them.
"""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from udpdiff.report.site import PageData


class ShownFigure(PageData):
    """How a figure is called, printed and read; pages about labels and about samples have it."""

    model_config = ConfigDict(extra="ignore", frozen=True, from_attributes=True)

    key: str
    label: str
    unit: str
    direction: Literal["higher", "lower", "neither"] = Field(description="Which values are better.")
    digits: int
    words: str


class LabelValue(PageData):
    value: float | None
    low: float | None = Field(description="End of its 95 % interval.")
    high: float | None
    apart: bool | None = Field(None, description="Of differences: whether the interval leaves out 0.")


class VariantFigures(PageData):
    variant: str
    values: dict[str, LabelValue] = Field(description="By key of the figure.")
    labelled: int
    refused: int
    reasons: dict[str, str] = Field(description="By clip without labels.")


class VariantDifferences(PageData):
    variant: str
    values: dict[str, LabelValue] = Field(description="Minus the judge's, clip by clip.")


class WorstPicture(PageData):
    picture: str
    width: int = Field(description="In pixels.")
    height: int
    clip_id: str
    figure: str = Field(description="By which it was chosen.")
    frames: list[int] = Field(description="From 1.")
    reasons: list[str]
    value: str
    mean: str


class WorstClips(PageData):
    variant: str
    pictures: list[WorstPicture]


class SpreadOfVariant(PageData):
    name: str
    quartiles: list[float] = Field(description="Three, of all clips; none without clips.")
    values: list[float] = Field(description="Of clips evenly picked from all.")
    clips: list[str]


class Spread(PageData):
    key: str
    label: str
    unit: str
    variants: list[SpreadOfVariant]


class LabelSection(PageData):
    kind: str
    heading: str
    judge: str
    figures: list[ShownFigure]
    compared: list[ShownFigure] = Field([], description="Those of which differences to the judge were taken.")
    rows: list[VariantFigures]
    differences: list[VariantDifferences]
    spreads: list[Spread]
    worst: list[WorstClips]
    row_names: tuple[str, ...] = Field((), description="Of the pictures of the worst clips, from top to bottom.")


class Labeller(PageData):
    kind: str
    variant: str
    judge: bool = Field(description="Labels generated videos too.")
    options: list[str]


class SheetNote(PageData):
    view: str
    refused: str | None
    text: str


class SheetWords(PageData):
    model_config = ConfigDict(extra="ignore", frozen=True)

    brief: str = ""
    detailed: str = ""


class SheetClip(PageData):
    picture: str
    width: int = Field(description="In pixels.")
    height: int
    clip_id: str
    split: str
    notes: list[SheetNote]
    views: list[str]
    words: SheetWords


class LabelQuality(PageData):
    has_truth: bool
    sections: list[LabelSection]
    labellers: list[Labeller]
    sheet: list[SheetClip]
    sheet_limit: int
