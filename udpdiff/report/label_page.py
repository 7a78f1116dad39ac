"""What the page about the labels shows: figures of every variant, their spread over clips, the worst clips, all clips.

Takes what `label_quality` wrote where there is truth, else what the labellers said of themselves; measures nothing new.
"""

from __future__ import annotations

from dataclasses import asdict
from math import isnan
from pathlib import Path

from udpdiff.metrics.bootstrap import bootstrap_mean
from udpdiff.report import failures, plots
from udpdiff.report.contact_sheet import contact_sheet, sheet_clips
from udpdiff.report.gallery import in_order
from udpdiff.report.label_words import FIGURES, TOLD
from udpdiff.storage.shards import ShardReader

# Figures whose spread over the clips is drawn.
SPREAD = {
    "entities": ("entity_miou", "entity_precision", "entity_recall", "entity_j_and_f", "id_switches"),
    "depth": ("depth_delta1", "depth_abs_rel", "depth_flicker"),
}
MAIN = {"entity_miou", "depth_delta1", "depth_flicker"}  # beside a clip of the contact sheet
HEADINGS = {"entities": "Entities", "depth": "Depth"}


def label_page(settings: dict, results: Path, measured: dict | None, media: Path) -> dict:
    """Context of the page. measured: the content of labels.json, None for clips without truth."""
    sections = [
        _measured_section(kind, measured["variants"][kind], results, media)
        if measured
        else _told_section(kind, settings, results, media)
        for kind in HEADINGS
    ]
    labellers = [
        {"kind": HEADINGS[kind], "variant": variant, "judge": variant == settings["metrics"][f"judge_{kind}"]}
        | {"told": [f"{key}: {value}" for key, value in told.items() if value is not None]}
        for kind in HEADINGS
        for variant, told in settings["labels"][kind].items()
    ]
    return {
        "has_truth": measured is not None,
        "sections": sections,
        "labellers": labellers,
        "sheet": contact_sheet(settings, results, _figures_as_text(measured), media),
        "sheet_limit": sheet_clips(settings),
    }


def _measured_section(kind, variants, results, media):
    """Figures with intervals, their spread and the worst clips of each variant."""
    rows, worst = [], []
    for position, (variant, found) in enumerate(variants.items()):
        metrics = found["metrics"]
        values = {
            figure.name: _printed(metrics[figure.name], figure) for figure in FIGURES[kind] if figure.name in metrics
        }
        clips = {"labelled": len(found["clips"]), "refused": len(found["refused"])}
        rows.append({"variant": variant, "values": values, "reasons": found["refused"]} | clips)
        chosen = failures.worst_clips(kind, found["clips"])
        pictures = failures.pictures(results, kind, variant, chosen, media, f"worst-{kind}-{position}")
        for picture in pictures:
            figure = next(figure for figure in FIGURES[kind] if figure.name == picture["figure"])
            picture["value"] = f"{figure.heading} {figure.text(found['clips'][picture['clip_id']][figure.name])}"
            picture["mean"] = figure.text(metrics[figure.name]["value"])
        worst.append({"variant": variant, "pictures": pictures})
    spread = {
        figure: {
            variant: [figure.scaled(row[figure.name]) for row in found["clips"].values() if figure.name in row]
            for variant, found in variants.items()
        }
        for figure in FIGURES[kind]
        if figure.name in SPREAD[kind]
    }
    section = {"kind": kind, "heading": HEADINGS[kind], "figures": [asdict(figure) for figure in FIGURES[kind]]}
    return section | {
        "rows": rows,
        "compared": [asdict(figure) for figure in _compared(kind, variants)],
        "differences": _differences(kind, variants),
        "worst": worst,
        "plots": _drawn(spread, media),
        "row_names": failures.ROWS,
    }


def _compared(kind, variants):
    """Figures of which labels.json holds differences, but for those that no labeller changes."""
    measured = {name for found in variants.values() for name in found["difference"]}
    return [figure for figure in FIGURES[kind] if figure.better and figure.name in measured]


def _differences(kind, variants):
    """Rows of the table of differences to the judge: figures with their interval, and whether it leaves out 0."""
    rows = []
    for variant, found in variants.items():
        known = [figure for figure in _compared(kind, variants) if figure.name in found["difference"]]
        values = {figure.name: _printed(found["difference"][figure.name], figure) for figure in known}
        for value in values.values():
            value["apart"] = value["low"] is not None and (value["low"] > 0 or value["high"] < 0)
        rows += [{"variant": variant, "values": values}] if values else []
    return rows


def _told_section(kind, settings, results, media):
    """What the labellers said of themselves: clips labelled and refused, and of entities coverage and number."""
    options = {"resamples": settings["metrics"]["bootstrap_samples"], "seed": settings["seed"]}
    rows, spread = [], {figure: {} for figure in TOLD[kind]}
    for variant in settings["labels"][kind]:
        scores, reasons, values = [], {}, {}
        for path in _shards(results, kind, variant):
            with ShardReader(path) as shard:
                scores += shard.scores.values()
                reasons |= {listed["clip_id"]: listed["reason"] for listed in shard.rejected}
        for figure in TOLD[kind]:
            spread[figure][variant] = [row[figure.name] for row in scores]
            if scores:
                mean = asdict(bootstrap_mean(spread[figure][variant], **options))
                values[figure.name] = {name: None if isnan(end) else end for name, end in mean.items()}
        rows.append({"variant": variant, "values": values, "labelled": len(scores), "refused": len(reasons)})
        rows[-1]["reasons"] = reasons
    section = {"kind": kind, "heading": HEADINGS[kind], "figures": [asdict(figure) for figure in TOLD[kind]]}
    return section | {"rows": rows, "worst": [], "differences": [], "plots": _drawn(spread, media)}


def _drawn(spread, media):
    """One plot per figure (figure -> variant -> value per clip), as names for the page."""
    paths = [
        plots.distribution(
            values, media / f"labels-{figure.name}.svg", f"{figure.heading}{figure.unit and ', ' + figure.unit}"
        )
        for figure, values in spread.items()
    ]
    return [f"{media.name}/{path.name}" for path in paths]


def _shards(results, kind, variant):
    folders = [results / kind / variant / split for split in ("evaluation", "train")]
    return [path for folder in folders for path in in_order(folder.glob("*.h5"))]


def _printed(metric, figure):
    """A figure with its interval in the unit of its column; an end that is not known stays None."""
    ends = {name: metric[name] for name in ("value", "low", "high")}
    return {name: None if end is None else figure.scaled(end) for name, end in ends.items()} | {"n": metric["n"]}


def _figures_as_text(measured) -> dict[str, dict[str, str]]:
    """clip id -> view of the contact sheet -> its main figures."""
    told: dict[str, dict[str, str]] = {}
    for kind, variants in measured["variants"].items() if measured else ():
        for variant, found in variants.items():
            for clip_id, row in found["clips"].items():
                parts = [
                    f"{figure.heading} {figure.text(row[figure.name])}"
                    for figure in FIGURES[kind]
                    if figure.name in set(row) & MAIN
                ]
                told.setdefault(clip_id, {})[f"{kind} {variant}"] = ", ".join(parts)
    return told
