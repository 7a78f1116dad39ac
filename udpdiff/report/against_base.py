"""Runs beside the base that was fine-tuned on the same clips: distances and video loss as multiples of the base's."""

from __future__ import annotations

from pydantic import Field

from udpdiff.report.inputs import Inputs
from udpdiff.report.site import PageData
from udpdiff.workflow.workflow import VIDEO


class Ratio(PageData):
    value: float | None = Field(description="Null where the base's is not above 0.")
    low: float | None = Field(description="End of the 95 % interval; null where nothing is known of the spread.")
    high: float | None
    n: int


class RowAgainstBase(PageData):
    """A run with one of its tasks; what was not measured is null."""

    run: str
    task: str
    fvd_ratio: Ratio | None = Field(description="Frechet video distance, by the base's.")
    kvd_ratio: Ratio | None = Field(description="Kernel video distance, by the base's.")
    video_loss: Ratio | None = Field(
        description="Validation loss of the video itself, not a ratio, on the clips that the base was validated on too."
    )
    video_loss_ratio: Ratio | None = Field(description="The same by the base's, after as many steps.")


class Conditions(PageData):
    """Under which both were measured."""

    base: str
    videos: int = Field(description="Of each model.")
    real_videos: int
    dimensions: int = Field(description="Of the features.")
    network: str = Field(description="Of the features.")
    subsets: int = Field(description="Behind the intervals.")
    share: float = Field(description="Of prompts and real videos, in each subset.")


class AgainstBase(PageData):
    rows: list[RowAgainstBase]
    conditions: Conditions


def against_base(inputs: Inputs) -> AgainstBase | None:
    """Return a row for each run and task that the report shows; None where there is no base to be set against."""
    found = inputs.against_base()
    if not found:
        return None
    measured = {run: each["metrics"] for run, each in found["variants"]["runs"].items()}
    pairs = [(run, task) for run, task in inputs.shown if run in measured and task != VIDEO]
    return AgainstBase(
        rows=[
            RowAgainstBase(
                run=run,
                task=task,
                **{name: _ratio(measured[run], f"{name}_{task}") for name in ("fvd_ratio", "kvd_ratio")},
                **{name: _ratio(measured[run], name) for name in ("video_loss", "video_loss_ratio")},
            )
            for run, task in pairs
        ],
        conditions=Conditions(**found["conditions"]),
    )


def _ratio(metrics: dict[str, dict], name: str) -> Ratio | None:
    return Ratio(**{key: metrics[name][key] for key in Ratio.model_fields}) if name in metrics else None
