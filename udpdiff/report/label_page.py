"""What the page about the labels shows: figures of every variant, their spread over clips, the worst clips, all clips.

Takes what `label_quality` wrote where there is truth, else what the labellers said of themselves; measures nothing new.
"""

from __future__ import annotations

from math import isfinite, isnan
from pathlib import Path
from typing import Any

import numpy as np

from udpdiff.config.schema import LABEL_KINDS
from udpdiff.metrics.bootstrap import bootstrap_mean
from udpdiff.metrics.registry import CAPTIONER, CAPTIONS, Figure, describe, label_figures, labeller_figures
from udpdiff.report import worst_captions, worst_labels
from udpdiff.report.contact_sheet import contact_sheet
from udpdiff.report.inputs import Inputs

# Figures whose spread over the clips is drawn.
SPREAD = ("entity_miou", "entity_precision", "entity_recall", "entity_j_and_f", "id_switches",
          "depth_delta1", "depth_abs_rel", "depth_flicker", "caption_attributes")  # fmt: skip
MOST_DOTS = 300  # of a variant
MAIN = ("entity_miou", "depth_delta1", "depth_flicker")  # beside a clip of the contact sheet


def label_page(inputs: Inputs, media: Path) -> dict[str, Any]:
    """Return the context of the page, its pictures drawn into `media`."""
    measured = inputs.label_quality()
    if measured:
        sections = [_measured_section(kind, found, inputs, media) for kind, found in measured["variants"].items()]
    else:
        sections = [_unmeasured_section(kind, inputs) for kind in LABEL_KINDS]
    labellers = [
        {"kind": kind.capitalize(), "variant": variant, "judge": variant in inputs.judges()[kind]}
        | {"options": [f"{key}: {value}" for key, value in options if value is not None]}
        for kind in LABEL_KINDS
        for variant, options in getattr(inputs.config.labels, kind).items()
    ]
    return {
        "has_truth": measured is not None,
        "sections": sections,
        "labellers": labellers,
        "sheet": contact_sheet(inputs, _figures_as_text(measured), media),
        "sheet_limit": inputs.job.sheet,
    }


def _measured_section(kind: str, variants: dict, inputs: Inputs, media: Path) -> dict[str, Any]:
    """Figures with intervals, their spread and the worst clips of each variant."""
    figures = [
        figure for figure in label_figures(kind) if any(figure.key in found["metrics"] for found in variants.values())
    ]
    rows, worst = [], []
    for position, (variant, found) in enumerate(variants.items()):
        metrics = found["metrics"]
        values = {figure.key: _printed(metrics[figure.key], figure) for figure in figures if figure.key in metrics}
        counts = {"labelled": len(found["clips"]), "refused": len(found["refused"])}
        rows.append({"variant": variant, "values": values, "reasons": found["refused"]} | counts)
        chosen = worst_labels.worst_clips(kind, found["clips"])
        name = f"worst-{kind}-{position}"
        if kind == CAPTIONS:  # of the captioner alone: of the other rows nothing is to be learnt
            pictures = worst_captions.pictures(inputs, chosen, media, name) if variant == CAPTIONER else []
        else:
            pictures = worst_labels.pictures(inputs, kind, variant, chosen, media, name)
        for picture in pictures:
            figure = describe(f"labels.{picture['figure']}")
            picture["value"] = f"{figure.label} {figure.text(found['clips'][picture['clip_id']][figure.key])}"
            picture["mean"] = figure.text(metrics[figure.key]["value"])
        if pictures:
            worst.append({"variant": variant, "pictures": pictures})
    spread = {
        figure: {
            variant: {clip: figure.scaled(row[figure.key]) for clip, row in found["clips"].items() if figure.key in row}
            for variant, found in variants.items()
        }
        for figure in figures
        if figure.key in SPREAD
    }
    return _section(kind, inputs, figures, spread) | {
        "rows": rows,
        "compared": _compared(figures, variants),
        "differences": _differences(_compared(figures, variants), variants),
        "worst": worst,
        "row_names": worst_labels.ROWS if kind in LABEL_KINDS else worst_captions.ROWS,
    }


def _unmeasured_section(kind: str, inputs: Inputs) -> dict[str, Any]:
    """What the labellers said of themselves: clips labelled and refused, and what else they count."""
    options = {"resamples": inputs.config.metrics.bootstrap_samples, "seed": inputs.config.seed}
    figures = labeller_figures(kind)
    rows, spread = [], {figure: {} for figure in figures}
    for variant in inputs.labellers()[kind]:
        own = [summary for summary in inputs.summaries if summary.folder == f"{kind}/{variant}"]
        scores = {clip: row for summary in own for clip, row in summary.clips.items()}
        reasons = {entry["clip_id"]: entry["reason"] for summary in own for entry in summary.rejected}
        values = {}
        for figure in figures:
            spread[figure][variant] = {clip: figure.scaled(row[figure.key]) for clip, row in scores.items()}
            if scores:
                mean = bootstrap_mean(list(spread[figure][variant].values()), **options)
                ends = {name: getattr(mean, name) for name in ("value", "low", "high")}
                values[figure.key] = {name: None if isnan(end) else end for name, end in ends.items()}
        rows.append({"variant": variant, "values": values, "labelled": len(scores), "refused": len(reasons)})
        rows[-1]["reasons"] = reasons
    return _section(kind, inputs, figures, spread) | {"rows": rows, "worst": [], "differences": []}


def _section(kind: str, inputs: Inputs, figures, spread: dict[Figure, dict]) -> dict[str, Any]:
    """What both kinds of sections have; spread: figure -> variant -> clip -> its value, as printed."""
    spreads = [
        {"key": figure.key, "label": figure.label, "unit": figure.unit}
        | {"variants": [_spread(variant, values) for variant, values in found.items()]}
        for figure, found in spread.items()
    ]
    judge = inputs.judges()[kind][0] if kind in LABEL_KINDS else CAPTIONER
    section = {"kind": kind, "heading": kind.capitalize(), "judge": judge}
    return section | {"figures": figures, "spreads": spreads}


def _spread(variant: str, values: dict[str, float]) -> dict[str, Any]:
    """Quartiles of all clips, and the values of at most MOST_DOTS, evenly picked."""
    finite = {clip: value for clip, value in values.items() if isfinite(value)}
    picked = list(finite)[:: max(1, -(-len(finite) // MOST_DOTS))]
    quartiles = np.percentile(list(finite.values()), (25, 50, 75)).tolist() if finite else []
    return {
        "name": variant,
        "quartiles": quartiles,
        "values": [float(f"{finite[clip]:.5g}") for clip in picked],
        "clips": picked,
    }


def _compared(figures: list[Figure], variants: dict) -> list[Figure]:
    """Figures of which labels.json holds differences, but for those that no labeller changes."""
    measured = {name for found in variants.values() for name in found["difference"]}
    return [figure for figure in figures if figure.direction != "neither" and figure.key in measured]


def _differences(figures: list[Figure], variants: dict) -> list[dict]:
    """Rows of the table of differences to the judge: figures with their interval, and whether it leaves out 0."""
    rows = []
    for variant, found in variants.items():
        differences = found["difference"]
        values = {
            figure.key: _printed(differences[figure.key], figure) for figure in figures if figure.key in differences
        }
        for value in values.values():
            value["apart"] = value["low"] is not None and (value["low"] > 0 or value["high"] < 0)
        rows += [{"variant": variant, "values": values}] if values else []
    return rows


def _printed(metric: dict, figure: Figure) -> dict[str, float | None]:
    """A figure with its interval in the unit of its column; an end that is not known stays None."""
    ends = {name: metric[name] for name in ("value", "low", "high")}
    return {name: None if end is None else figure.scaled(end) for name, end in ends.items()}


def _figures_as_text(measured: dict | None) -> dict[str, dict[str, str]]:
    """clip id -> view of the contact sheet -> its main figures."""
    texts: dict[str, dict[str, str]] = {}
    for kind, variants in measured["variants"].items() if measured else ():
        for variant, found in variants.items():
            for clip_id, row in found["clips"].items():
                shown = [figure for figure in label_figures(kind) if figure.key in MAIN and figure.key in row]
                parts = [f"{figure.label} {figure.text(row[figure.key])}" for figure in shown]
                texts.setdefault(clip_id, {})[f"{kind} {variant}"] = ", ".join(parts)
    return texts
