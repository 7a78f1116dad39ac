"""Curves of the codec: a panel for each axis and source, a line for each coding and stage, as printed."""

from __future__ import annotations

import numpy as np

from udpdiff.metrics.codec_curves import measure_curves
from udpdiff.report.codec_page import codec_groups
from udpdiff.storage.shards import ShardWriter


def point(at: float, value: float, spread: float | None) -> dict:
    ends = {"low": None, "high": None} if spread is None else {"low": value - spread, "high": value + spread}
    return {"from": 0.0, "to": None, "at": at, "value": value, "count": 3, "clips": 1, **ends}


def line(axis: str, coding: str, source: str, stage: str, *points: dict) -> dict:
    return {"axis": axis, "coding": coding, "source": source, "stage": stage, "points": list(points)}


CURVES = {
    "sources": {"labels": "of labels", "drawn": "drawn clips"},
    "stages": {"colours": "in colours alone", "vae": "through colours and VAE"},
    "tasks": {
        "seg": {
            "figure": {"key": "x", "label": "tube IoU", "direction": "higher", "digits": 3, "words": "What it is.", "unit": "", "scale": 100.0},
            "axes": {
                "entities": {"label": "entities", "unit": "", "scale": "log"},
                "size": {"label": "size", "unit": "share", "scale": "linear"},
                "empty": {"label": "nothing", "unit": "", "scale": "linear"},
            },
            "codings": {"pixelplanes": "Pixelplanes", "location": "by location"},
            "lines": [
                line("entities", "pixelplanes", "labels", "colours", point(2, 1.0, 0.0), point(4.5, 0.98, 0.01)),
                line("entities", "location", "labels", "vae", point(2, 0.5, None)),
                line("entities", "location", "drawn", "vae", point(64, 0.25, 0.125)),
                line("size", "pixelplanes", "labels", "vae", point(0.1, 0.75, 0.25)),
            ],
        }
    },
}  # fmt: skip


def test_a_panel_for_each_axis_and_source_that_has_lines():
    (group,) = codec_groups(CURVES)
    assert (group.heading, group.words, group.codings) == ("Entity segmentation", "What it is.", ["Pixelplanes", "by location"])  # fmt: skip
    assert [(panel.title, panel.words, panel.x_label, panel.x_log) for panel in group.panels] == [
        ("tube IoU by entities", "of labels", "entities", True),
        ("tube IoU by entities", "drawn clips", "entities", True),
        ("tube IoU by size", "of labels", "share", False),
    ]
    colours, vae = group.panels[0].curves
    assert (colours.label, colours.series, colours.dashed) == ("Pixelplanes, in colours alone", 0, True)
    assert (colours.steps, colours.values, colours.low, colours.high) == ([2.0, 4.5], [100.0, 98.0], [100.0, 97.0], [100.0, 99.0])  # fmt: skip
    assert (vae.label, vae.series, vae.dashed) == ("by location, through colours and VAE", 1, False)
    assert (vae.values, vae.low, vae.high) == ([50.0], [None], [None])


def test_without_curves_there_are_none():
    assert codec_groups(None) == codec_groups({}) == []


def test_what_is_measured_is_drawn_whole(tmp_path):
    ids = np.ones((1, 24, 32), np.uint16)
    ids[:, :, 16:] = 5
    for kind, name, clip in (("entities", "entity_ids", ids), ("depth", "depth", 30000 * ids)):
        with ShardWriter(tmp_path / f"{kind}.h5", kind) as shard:
            shard.add("clip", {name: clip})
    paths = {kind: [tmp_path / f"{kind}.h5"] for kind in ("entities", "depth")}
    options = {"batch_clips": 4, "max_clips": 1, "seed": 0, "bootstrap_samples": 20}
    found = measure_curves(paths, {"seg": {}, "depth": {}}, lambda colormaps: colormaps, **options)
    groups = codec_groups(found)
    assert [group.heading for group in groups] == ["Entity segmentation", "Depth estimation"]
    assert [len(group.codings) for group in groups] == [3, 1]
    drawn = [curve for group in groups for panel in group.panels for curve in panel.curves]
    assert len(drawn) == sum(len(task["lines"]) for task in found["tasks"].values())
    assert all(len(curve.steps) == len(curve.values) == len(curve.low) == len(curve.high) > 0 for curve in drawn)
