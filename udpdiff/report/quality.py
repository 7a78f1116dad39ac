"""The run's headline figures as one flat json: `results/quality.json`.

Takes what the measuring rules wrote; computes nothing but sums of cost.
"""

from __future__ import annotations

import json
from pathlib import Path

# What the project asks of itself at the mini scale: (key, comparison, bound); a bound may be another key.
GOALS = (
    ("labels.entity_miou", ">=", 0.80),
    ("labels.depth_delta1", ">=", 0.90),
    ("codec.pixelplanes_exact_share", ">=", 1.0),
    ("codec.spectral_max_abs_error", "<=", 1 / 255),
    ("codec.vae_entity_miou", ">=", 0.80),
    ("codec.vae_depth_delta1", ">=", 0.90),
    ("generated.depth_delta1", ">", "generated.depth_delta1_shuffled"),
    ("generated.depth_delta1", ">", "generated.depth_delta1_constant"),
    ("generated.entity_tube_iou", ">", "generated.entity_tube_iou_shuffled"),
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
        limit = figures.get(bound) if isinstance(bound, str) else bound
        met = None
        if value is not None and limit is not None:
            met = (
                value <= limit
                if comparison == "<="
                else value >= limit
                if comparison == ">="
                else _clearly(figures, key, bound)
            )
        text = f"{comparison} {bound}" if isinstance(bound, str) else f"{comparison} {bound:.4g}"
        verdicts.append(
            {
                "key": key,
                "value": value,
                "low": figures.get(f"{key}_low"),
                "high": figures.get(f"{key}_high"),
                "goal": text + (f" ({limit:.3f})" if isinstance(bound, str) and limit is not None else ""),
                "met": met,
            }
        )
    return verdicts


def _clearly(figures, key, other):
    """Above the other figure by more than both intervals: the low end of one beats the high end of the other."""
    return figures.get(f"{key}_low", figures[key]) > figures.get(f"{other}_high", figures[other])
