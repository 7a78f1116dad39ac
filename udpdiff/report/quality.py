"""The run's headline figures as one flat json, `results/quality.json`, and the goals that they are held against.

Takes what the measuring rules wrote, and computes only what several of them say together: which share of the possible
gain a prediction has, whose parts stand in the figures of a run and in those of the codec.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

from udpdiff.metrics.bootstrap import bootstrap_share
from udpdiff.storage.sealed import read_record
from udpdiff.tasks import TASKS, labels_control


def collect(
    paths: Iterable[Path], featured_run: str | None, *, bootstrap_samples: int = 2000, seed: int = 0
) -> dict[str, float]:
    """Return flat figures `group.name`, with `_low`, `_high` (95 % interval) and `_n` beside each that has them.

    Groups: labels, codec and against_base (files of that name), labels.VARIANT, against_base.RUN, generated (the featured
    run) and runtime.RUN.

    Args:
        paths: Files of the measuring rules.
        featured_run: The run behind `generated`; None leaves the group out.
        bootstrap_samples: Resamples of the intervals of shares.
        seed: Of the resampling.
    """
    # A run's video metrics exist once per task; its dense metrics belong to one task alone.
    dense = tuple(f"{key.partition('_')[0]}_" for task in TASKS.values() for key in task.ceilings)
    figures: dict[str, float] = {}
    parts: dict[str, dict[str, Mapping]] = {"generated": {}, "codec": {}}
    for path in paths:
        found = read_record(path)
        run, task = found.get("run"), found.get("task")
        group = f"runtime.{run}" if path.stem == "runtime" else "generated" if run else path.stem
        if group == "generated" and run != featured_run:
            continue
        for name, metric in found["metrics"].items():
            if group == "generated" and not name.startswith(dense):
                name = f"{name}_{task}"
            figures |= _flat(f"{group}.{name}", metric)
        parts.get(group, {}).update(found["metrics"])
        for variants in found.get("variants", {}).values():
            for variant, measured in variants.items():
                for name, metric in measured["metrics"].items():
                    figures |= _flat(f"{group}.{variant}.{name}", metric)
    return figures | _shares(parts["generated"], parts["codec"], resamples=bootstrap_samples, seed=seed)


def _shares(generated: Mapping[str, Mapping], codec: Mapping[str, Mapping], **options) -> dict[str, float]:
    """Return `..._normalised` of every figure that has a ceiling, where all parts of it were measured."""
    figures = {}
    for key, ceiling in (item for task in TASKS.values() for item in task.ceilings.items()):
        gains, controls = (generated.get(name) for name in (f"{key}_over_shuffled", labels_control(key)))
        if not gains or not controls or ceiling not in codec:
            continue
        pairs = zip(gains["per_video"], controls["per_video"], strict=True)
        pairs = [pair for pair in pairs if None not in pair]
        if pairs:
            share = bootstrap_share(*zip(*pairs, strict=True), codec[ceiling]["per_video"], **options)
            known = {name: value for name, value in asdict(share).items() if not math.isnan(value)}
            figures |= _flat(f"generated.{key}_normalised", {"value": None} | known)
    return figures


def _flat(key: str, metric: Mapping) -> dict[str, float]:
    ends = {f"{key}_{suffix}": metric.get(suffix) for suffix in ("low", "high", "n")}
    return {key: metric["value"]} | {name: end for name, end in ends.items() if end is not None}


def judge(figures: Mapping[str, float], goals: Iterable[str]) -> list[dict]:
    """Return each goal with what was measured: key, value, low, high, goal as text, met (None when not measured).

    Args:
        figures: As `collect` returns them.
        goals: Lines `FIGURE >= NUMBER`, `FIGURE <= NUMBER`, or `FIGURE > CONTROL`, which is met when the gain over the
            control, paired by video, is above 0 by its whole interval.
    """
    verdicts = []
    for line in goals:
        key, comparison, bound = line.split()
        value = figures.get(key)
        if comparison == ">":
            goal, met = _above_control(figures, key, bound)
        else:
            limit = float(bound)
            goal = f"{comparison} {limit:.4g}"
            met = None if value is None else value <= limit if comparison == "<=" else value >= limit
        ends = {"low": figures.get(f"{key}_low"), "high": figures.get(f"{key}_high")}
        verdicts.append({"key": key, "value": value, **ends, "goal": goal, "met": met})
    return verdicts


def _above_control(figures: Mapping[str, float], key: str, control: str) -> tuple[str, bool | None]:
    limit, low = figures.get(f"{key}_{control}"), figures.get(f"{key}_over_{control}_low")
    if limit is None or low is None:
        return f"> {key}_{control}", None
    high = figures[f"{key}_over_{control}_high"]
    return f"> {key}_{control} ({limit:.3f}); gain per video {low:.3f} to {high:.3f}", low > 0
