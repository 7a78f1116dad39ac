"""The data set: from candidates to clips, what they are like, the clips themselves, and how good their labels are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ConfigDict, Field

from udpdiff.clip import SPLITS
from udpdiff.metrics.registry import describe, labeller_figures
from udpdiff.report import gallery
from udpdiff.report.codec_page import CodecGroup, codec_groups
from udpdiff.report.funnel import Funnel, funnel
from udpdiff.report.histograms import Histogram, histogram
from udpdiff.report.inputs import Inputs
from udpdiff.report.label_models import LabelQuality, SheetWords
from udpdiff.report.label_page import label_page
from udpdiff.report.site import PageData
from udpdiff.report.worst_labels import MAX_DEPTH_ERROR
from udpdiff.storage.captions import KINDS, read_captions, whole_caption

MOST_CLIPS = 1200  # that can be searched: their captions travel in the page
# Scores of clips as `sources.filters` gives them: label, unit, meaning, and the filter's bound in the configuration.
_SCORES = {
    "motion": ("motion", "grey levels of 255 per frame", "Mean absolute change of block luma from frame to frame.", "min_motion"),
    "sharpness": ("sharpness", "", "Variance of the Laplacian of luma, median over frames.", "min_sharpness"),
    "cut_score": ("cut score", "", "The largest jump between neighbouring frames, or a dissolve, 0 to 1.", "max_cut_score"),
    "clipped_share": ("clipped pixels", "share", "Pixels at either end of the luma range.", "max_clipped_share"),
    "near_black_share": ("almost black pixels", "share", "Pixels that are almost black.", "max_near_black_share"),
    "letterbox_share": ("black bars", "share", "Of the height or width, on both sides together.", "max_letterbox_share"),
}  # fmt: skip


class Film(PageData):
    model_config = ConfigDict(extra="ignore", frozen=True)

    film: str
    width: int = Field(description="In pixels.")
    height: int
    clip_id: str
    notes: dict[str, str]
    refused: dict[str, str]
    words: SheetWords


class Clip(PageData):
    clip_id: str
    split: str
    caption: str
    figures: dict[str, float] = Field(description="Motion, and what the judges and the truth say of its labels.")


class DataSet(PageData):
    funnel: Funnel
    histograms: list[Histogram] = Field(description="Of figures in which clips differ.")
    films: list[Film]
    clips: list[Clip] = Field(description="The first of all, by split.")
    clip_figures: dict[str, str] = Field(description="Label of every figure of a clip.")
    clip_count: int
    labels: LabelQuality
    codec: list[CodecGroup]
    max_depth_error: float = Field(description="Share of the true depth that error maps show in full.")


def data_set(inputs: Inputs, media: Path) -> DataSet:
    """Return what the page shows, its films and pictures written into `media`."""
    captions = {split: read_captions(inputs.caption_tables(split)) for split in SPLITS}
    clips = list(_clips(inputs, captions))
    shown = [name for name in _clip_labels() if any(name in clip.figures for clip in clips)]
    return DataSet(
        funnel=funnel(inputs),
        histograms=_histograms(inputs, captions),
        films=[Film(**film) for film in gallery.data_set(inputs, media)],
        clips=clips[:MOST_CLIPS],
        clip_figures={name: _clip_labels()[name] for name in shown},
        clip_count=len(clips),
        labels=LabelQuality.model_validate(label_page(inputs, media), from_attributes=True),
        codec=codec_groups(inputs.codec_curves()),
        max_depth_error=MAX_DEPTH_ERROR,
    )


def _histograms(inputs: Inputs, captions: Mapping[str, Mapping[str, Mapping]]) -> list[Histogram]:
    """Distributions over all clips: of their scores with the filters' bounds, of the judges' labels, of captions."""
    sources = [each for each in inputs.summaries if each.folder == "clips"]
    found = []
    for name, (label, unit, words, bound) in _SCORES.items():
        values = {split: _values(sources, split, name) for split in SPLITS}
        values["rejected"] = [
            each["scores"][name] for summary in sources for each in summary.rejected if name in (each["scores"] or {})
        ]
        limits = [getattr(inputs.config.filters, bound)]
        found.append(histogram(label, values, unit=unit, words=words, limits=limits))
    for kind, (judge,) in inputs.judges().items():
        own = [each for each in inputs.summaries if each.folder == f"{kind}/{judge}"]
        for figure in labeller_figures(kind):
            values = {split: _values(own, split, figure.key) for split in SPLITS}
            found.append(histogram(figure.label, values, unit=figure.unit, words=f"{figure.words} By {judge}."))
    for kind in KINDS:
        values = {split: [row[f"{kind}_tokens"] for row in captions[split].values()] for split in SPLITS}
        words = "Length in tokens of the text encoder, end mark included."
        found.append(histogram(f"{kind} caption", values, unit="tokens", words=words))
    return [each for each in found if each]


def _values(summaries: Iterable, split: str, name: str) -> list[float]:
    return [row[name] for each in summaries if each.split == split for row in each.clips.values() if name in row]


def _clips(inputs: Inputs, captions: Mapping[str, Mapping[str, Mapping]]) -> Iterable[Clip]:
    """Every accepted clip, with its caption and figures."""
    judges = {f"{kind}/{name}" for kind, (name,) in inputs.judges().items()}
    labelled: dict[str, dict[str, float]] = {}
    for summary in inputs.summaries:
        for clip_id, scores in summary.clips.items() if summary.folder in judges else ():
            labelled.setdefault(clip_id, {}).update(scores)
    measured = inputs.label_quality()
    for kind, (judge,) in inputs.judges().items() if measured else ():
        for clip_id, scores in measured["variants"][kind][judge]["clips"].items():
            labelled.setdefault(clip_id, {}).update(scores)
    for summary in (each for each in inputs.summaries if each.folder == "clips"):
        for clip_id, scores in summary.clips.items():
            words = captions[summary.split].get(clip_id)
            known = {"motion": scores.get("motion")} | labelled.get(clip_id, {})
            figures = {name: float(f"{known[name]:.4g}") for name in _clip_labels() if known.get(name) is not None}
            caption = whole_caption(words, "detailed") if words else ""
            yield Clip(clip_id=clip_id, split=summary.split, caption=caption, figures=figures)


def _clip_labels() -> dict[str, str]:
    """Figure -> label, of those that stand beside a clip that was searched for."""
    names = ("entities", "coverage", "entity_miou", "depth_delta1")
    return {"motion": "motion"} | {name: describe(name).label for name in names}
