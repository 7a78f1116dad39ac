"""Two result folders side by side: differences of every figure with intervals, and of their configurations.

Figures of single videos that both folders have are paired by clip id; where nothing can be paired, the interval is made of
both intervals as of independent samples. Reads files of measurements and the reports' data; opens no video.

Source: Zou and Donner, Construction of Confidence Limits about Effect Measures (the square-and-add method).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from udpdiff.counted import counted
from udpdiff.metrics.bootstrap import bootstrap_difference
from udpdiff.metrics.registry import describe
from udpdiff.metrics.significance import LEVEL, TOO_FEW, least_p
from udpdiff.report.compared_records import cautions, incomparable, made_differently, without_record
from udpdiff.report.printing import number, signed
from udpdiff.report.settings import Difference, differing
from udpdiff.report.site import Page, PageData, write_site
from udpdiff.storage.sealed import read_record
from udpdiff.tasks.figure import Figure

_NAMES = {"against_base": "against the base", "labels": "labels", "codec": "codec"}
_SEED = 0  # of the resampling: both folders keep their own


class FigureDifference(PageData):
    measured: str = Field(description="What was measured: the run and task, or the labeller.")
    key: str
    label: str
    unit: str
    digits: int
    direction: Literal["higher", "lower", "neither"] = Field(description="Which values are better.")
    a: float | None
    b: float | None
    difference: float | None = Field(description="B minus A, in the printed unit, over the paired clips where paired.")
    low: float | None = Field(description="End of its 95 % interval.")
    high: float | None
    pairs: int | None = Field(description="Clips that both have; null where nothing was paired.")
    verdict: Literal[
        "A is better",
        "B is better",
        "they differ",
        "equal",
        "no difference shown",
        "too few to tell",
        "no interval",
        "not comparable",
        "",
    ]
    why: str = Field("", description="Why it is not comparable.")


class Compare(PageData):
    a: str
    b: str
    figures: list[FigureDifference]
    only_a: list[str] = Field(description="Measurements, or figures of one, that B lacks.")
    only_b: list[str]
    records: list[Difference] = Field(description="What both folders' shared measurements rest on, where it differs.")
    cautions: list[str] = Field(description="What is to be kept in mind of every difference, in sentences.")
    settings: list[Difference] | None = Field(description="Null where a folder has no report with its configuration.")
    unrecorded: list[str] = Field(description="A, B or both, whose configuration is not on record.")


def compare(a: Path, b: Path, out: Path) -> str:
    """Write `compare.html` and its data into `out`; return the differences as a table for a terminal.

    Args:
        a: A result folder, or the folder of a run of the workflow that has one.
        b: The other, whose figures are taken minus those of `a`.
        out: A folder.

    Raises:
        ValueError: A folder holds no measurements.
    """
    found = compared(a, b)
    write_site(Path(out), [Page("compare", "Compare", found, ("compare.js",))], {"config": None})
    return as_text(found)


def compared(a: Path, b: Path) -> Compare:
    """Return what the page shows; raises as `compare` does."""
    folders = [_results(Path(folder)) for folder in (a, b)]
    files = [_measurements(folder) for folder in folders]
    configs = [_configuration(folder) for folder in folders]
    shared = {name: (files[0][name], files[1][name]) for name in files[0] if name in files[1]}
    settings = None if None in configs else list(differing(*configs))
    records = made_differently(shared)
    return Compare(
        a=str(a),
        b=str(b),
        figures=[row for name, pair in shared.items() for row in _differences(name, *pair)],
        only_a=list(_lacking(files[0], files[1])),
        only_b=list(_lacking(files[1], files[0])),
        records=records,
        cautions=cautions(records, settings, without_record(shared)),
        settings=settings,
        unrecorded=[name for name, config in zip("AB", configs, strict=True) if config is None],
    )


def as_text(found: Compare) -> str:
    """Return how many figures differ, and a line for each that does: both values, B minus A with its interval, the verdict."""
    rows = [("measured", "figure", "A", "B", "B - A", "95 % interval", "paired", "")]
    equal = sum(row.verdict == "equal" for row in found.figures)
    counts = f"{len(found.figures)} figures in both, of which {equal} are equal"
    for row in (row for row in found.figures if row.verdict != "equal"):
        ends = "" if row.low is None else f"[{signed(row.low, row.digits)}, {signed(row.high, row.digits)}]"
        change = "" if row.difference is None else signed(row.difference, row.digits)
        label = f"{row.label}, {row.unit}" if row.unit else row.label
        paired = counted(row.pairs, "clip") if row.pairs else "no"  # results of an earlier version name no clips
        rows.append(
            (
                row.measured,
                label,
                number(row.a, row.digits),
                number(row.b, row.digits),
                change,
                ends,
                paired,
                row.verdict,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines = [f"{counts}:", *table] if len(rows) > 1 else [f"{counts}."]
    lines += [f"not comparable: {row.measured}, {row.label}: {row.why}" for row in found.figures if row.why]
    lines += [f"only in A: {name}" for name in found.only_a] + [f"only in B: {name}" for name in found.only_b]
    lines += [f"{each.key}: {each.first} in A, {each.second} in B" for each in found.records] + found.cautions
    if found.settings is None:
        missing = " and ".join(found.unrecorded)
        return "\n".join([*lines, f"configuration: not on record in {missing} (report/data/provenance.json)"])
    lines += [f"{each.key}: {each.first} in A, {each.second} in B" for each in found.settings]
    return "\n".join(lines if found.settings else [*lines, "configuration: the same"])


def _lacking(here: Mapping[str, Mapping], there: Mapping[str, Mapping]) -> Iterator[str]:
    """What is measured here and not there; of what both have measured, the figures."""
    for name, document in here.items():
        if name not in there:
            yield name
        elif missing := [key for key in document["metrics"] if key not in there[name]["metrics"]]:
            yield f"{name}: {', '.join(_described(key).label for key in missing)}"


def _results(folder: Path) -> Path:
    for candidate in (folder, folder / "results"):
        if (candidate / "metrics").is_dir():
            return candidate
    raise ValueError(
        f"{folder}: got no measurements there, expected a result folder with metrics/ in it, or one with results/metrics; "
        "run `snakemake` first, or name the folder that it ran in."
    )


def _measurements(results: Path) -> dict[str, dict]:
    """What was measured -> the content of its file, or the part of it that is one labeller's or run's."""
    found: dict[str, dict] = {}
    for path in sorted((results / "metrics").rglob("*.json")):
        document = read_record(path)
        name = f"{document['run']}, {document['task']}" if "run" in document else _NAMES.get(path.stem, path.stem)
        if path.stem == "runtime":
            name += ", run time"
        found[name] = document
        for kind, variants in document.get("variants", {}).items():
            found |= {
                f"{name}, {kind.removesuffix('s') if kind == 'runs' else kind} {variant}": own
                for variant, own in variants.items()
            }
    return found


def _configuration(results: Path) -> dict[str, Any] | None:
    path = results / "report/data/provenance.json"
    return json.loads(path.read_text(encoding="utf-8")).get("config") if path.is_file() else None


def _differences(measured: str, a: Mapping, b: Mapping) -> Iterator[FigureDifference]:
    for key, first in a["metrics"].items():
        second = b["metrics"].get(key)
        if second is None:
            continue
        figure = _described(key)
        values = [None if found["value"] is None else figure.scaled(found["value"]) for found in (first, second)]
        change, low, high, pairs = _change(_by_clip(a, key), _by_clip(b, key), first, second, figure.scale)
        why = incomparable(a, b, key)
        equal = first["value"] is not None and all(
            first.get(name) == second.get(name) for name in ("value", "per_video")
        )
        if equal:
            low = high = None
        yield FigureDifference(
            measured=measured,
            key=key,
            label=figure.label,
            unit=figure.unit,
            digits=figure.digits,
            direction=figure.direction,
            a=values[0],
            b=values[1],
            difference=change,
            low=low,
            high=high,
            pairs=pairs,
            verdict="not comparable" if why else "equal" if equal else _verdict(figure, change, low, high, pairs),
            why=why,
        )


def _change(
    a: Mapping[str, float], b: Mapping[str, float], first: Mapping, second: Mapping, scale: float
) -> tuple[float | None, float | None, float | None, int | None]:
    """B minus A with the ends of its interval, and over how many pairs, in the printed unit."""
    shared = [clip for clip in a if clip in b]
    if shared:
        found = bootstrap_difference([b[clip] for clip in shared], [a[clip] for clip in shared], seed=_SEED)
        ends = [None if math.isnan(end) else end * scale for end in (found.low, found.high)]
        return found.value * scale, *ends, len(shared)
    if first["value"] is None or second["value"] is None:
        return None, None, None, None
    change = second["value"] - first["value"]
    if None in (first["low"], first["high"], second["low"], second["high"]):
        return change * scale, None, None, None
    below = math.hypot(second["value"] - second["low"], first["high"] - first["value"])
    above = math.hypot(second["high"] - second["value"], first["value"] - first["low"])
    return change * scale, (change - below) * scale, (change + above) * scale, None


def _by_clip(document: Mapping, key: str) -> dict[str, float]:
    """A figure's values by clip id; {} where the document does not say whose they are."""
    if "clips" in document and all(isinstance(row, Mapping) for row in document["clips"].values()):  # labels.json
        return {clip: row[key] for clip, row in document["clips"].items() if row.get(key) is not None}
    figure = document["metrics"][key]
    ids = document.get("clips", {}).get(figure.get("clips"), ())
    if len(ids) != len(figure["per_video"]):
        return {}
    return {clip: value for clip, value in zip(ids, figure["per_video"], strict=True) if value is not None}


def _described(key: str) -> Figure:
    try:
        return describe(key)
    except ValueError:  # of another version
        return Figure(key, key, "neither", 4, "")


def _verdict(figure: Figure, change: float | None, low: float | None, high: float | None, pairs: int | None) -> str:
    if change is None:
        return ""
    if low is None or high is None:
        return "no interval"
    if pairs is not None and least_p(pairs) >= LEVEL:  # whatever an interval of so few says
        return TOO_FEW
    if low <= 0 <= high:
        return "no difference shown"
    if figure.direction == "neither":
        return "they differ"
    return "B is better" if (change > 0) == (figure.direction == "higher") else "A is better"
