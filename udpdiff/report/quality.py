"""The run's headline figures as one flat json: `results/quality.json`.

Takes what the measuring rules wrote; computes nothing but sums of cost.
"""

from __future__ import annotations

import json
from pathlib import Path

# What the project asks of itself at the mini scale: (key, comparison, bound); a bound may be the name of a control.
GOALS = (
    ("labels.entity_miou", ">=", 0.80),
    ("labels.depth_delta1", ">=", 0.90),
    ("codec.pixelplanes_exact_share", ">=", 1.0),
    ("codec.spectral_max_abs_error", "<=", 1 / 255),
    ("codec.vae_entity_miou", ">=", 0.80),
    ("codec.vae_depth_delta1", ">=", 0.90),
    ("generated.depth_delta1", ">", "shuffled"),
    ("generated.depth_delta1", ">", "constant"),
    ("generated.entity_tube_iou", ">", "shuffled"),
    ("cost.total_seconds", "<=", 1200),
    ("cost.peak_rss_gb", "<=", 8),
)


def collect(paths: list[Path]) -> dict[str, float]:
    """Flat figures `group.name`, with `_low`, `_high` (95 % interval) and `_n` beside each that has them.

    Groups: labels and codec (files of that name), labels.VARIANT, generated (the multi-task run) and runtime.RUN.
    """
    figures: dict[str, float] = {}
    for path in paths:
        found = json.loads(path.read_text())
        run, task = found.get("run"), found.get("task")
        group = f"runtime.{run}" if path.stem == "runtime" else "generated" if run else path.stem
        if group == "generated" and run != "multi":
            continue
        for name, metric in found["metrics"].items():
            # A run's video metrics exist once per task; its dense metrics belong to one task alone.
            if group == "generated" and not name.startswith(("depth_", "entity_")):
                name = f"{name}_{task}"
            figures |= _flat(f"{group}.{name}", metric)
        for variants in found.get("variants", {}).values():
            for variant, measured in variants.items():
                for name, metric in measured["metrics"].items():
                    figures |= _flat(f"{group}.{variant}.{name}", metric)
    return figures


def _flat(key, metric):
    ends = {f"{key}_{suffix}": metric.get(suffix) for suffix in ("low", "high", "n")}
    return {key: metric["value"]} | {name: end for name, end in ends.items() if end is not None}


def judge(figures: dict[str, float]) -> list[dict]:
    """Each goal with what was measured: key, value, low, high, goal as text, met (None when not measured)."""
    verdicts = []
    for key, comparison, bound in GOALS:
        value = figures.get(key)
        if comparison == ">":
            goal, met = _above_control(figures, key, bound)
        else:
            goal = f"{comparison} {bound:.4g}"
            met = None if value is None else value <= bound if comparison == "<=" else value >= bound
        ends = {"low": figures.get(f"{key}_low"), "high": figures.get(f"{key}_high")}
        verdicts.append({"key": key, "value": value, **ends, "goal": goal, "met": met})
    return verdicts


def _above_control(figures, key, control):
    """Goal as text, and whether the gain over the control, paired by video, is above 0 by its whole interval."""
    limit, low = figures.get(f"{key}_{control}"), figures.get(f"{key}_over_{control}_low")
    if limit is None or low is None:
        return f"> {key}_{control}", None
    high = figures[f"{key}_over_{control}_high"]
    return f"> {key}_{control} ({limit:.3f}); gain per video {low:.3f} to {high:.3f}", low > 0
