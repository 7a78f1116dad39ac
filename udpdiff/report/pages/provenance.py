"""How it was made: what differs from the default, code, versions, hardware, checkpoints, rules, and what each job cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from udpdiff.counted import counted
from udpdiff.planning import costs
from udpdiff.report.inputs import Inputs
from udpdiff.report.rule_graph import RuleGraph, boxed, rule_graph
from udpdiff.report.settings import Difference, differing
from udpdiff.report.site import PageData
from udpdiff.report.timeline import Timeline, timeline
from udpdiff.report.used_checkpoints import UsedCheckpoint, used_checkpoints
from udpdiff.storage.sealed import read_record

_UNMEASURED = (
    "fill_table",
    "judge_claims",
    "render_report",
)  # rules of every report on models without a benchmark file


class TrainedBy(PageData):
    run: str
    started: str
    commit: str | None
    uncommitted: bool | None
    package_sha256: str
    machine: str
    versions: dict[str, str]
    settings: dict[str, Any]


class RuleCost(PageData):
    rule: str
    jobs: int
    seconds: float
    longest_seconds: float
    peak_rss_gb: float
    gpu_told: bool = Field(description="Whether some job recorded the memory of its GPU.")
    peak_gpu_gb: float | None = Field(description="Null where no GPU was used, or none was recorded.")


class Provenance(PageData):
    preset: str | None
    differences: list[Difference] | None = Field(description="From config.yaml; null where no default was given.")
    config: dict[str, Any] = Field(description="The whole configuration.")
    config_yaml: str
    runs: list[TrainedBy]
    checkpoints: list[UsedCheckpoint]
    rules: RuleGraph
    costs: list[RuleCost]
    timeline: Timeline
    total_seconds: float = Field(description="From start to this page, over all invocations.")
    peak_rss_gb: float = Field(description="The most that jobs side by side held together.")


def provenance(inputs: Inputs, media: Path) -> Provenance:
    """Return what the page shows."""
    config = inputs.config.model_dump(mode="json")
    stages = costs.seconds_per_rule(inputs.costs)
    boxes = costs.seconds_per_rule([replace(job, rule=boxed(job.rule, job.job)) for job in inputs.costs])
    notes = {box: f"{row['seconds']:,.0f} s, {counted(row['jobs'], 'job')}" for box, row in boxes.items()}
    return Provenance(
        preset=inputs.config.preset,
        differences=None if inputs.default is None else list(differing(inputs.default.model_dump(mode="json"), config)),
        config=config,
        config_yaml=yaml.safe_dump(config, sort_keys=False, allow_unicode=True),
        runs=[_trained_by(inputs, run) for run in inputs.runs],
        checkpoints=used_checkpoints(inputs),
        rules=rule_graph(notes | dict.fromkeys(_UNMEASURED if inputs.shown else (), "not measured")),
        costs=[RuleCost(rule=rule, **row) for rule, row in stages.items()],
        timeline=timeline(inputs.costs),
        total_seconds=inputs.figures["cost.total_seconds"],
        peak_rss_gb=inputs.figures["cost.peak_rss_gb"],
    )


def _trained_by(inputs: Inputs, run: str) -> TrainedBy:
    record = read_record(inputs.run_file(run, "provenance.json"))
    hardware, spec, recipe = record["hardware"], inputs.config.runs[run], inputs.config.recipe(run)
    gpus = [gpu["name"] for gpu in hardware.get("gpus", ())]
    parts = [hardware.get("processor"), hardware.get("cores") and f"{hardware['cores']} cores"]
    parts += [hardware.get("memory_gb") and f"{hardware['memory_gb']} GB", *gpus, hardware.get("system")]
    settings = {"tasks": ", ".join(f"{task} {share:g}" for task, share in spec.tasks.items()) or "none"}
    settings |= {name: getattr(recipe, name) for name in ("steps", "batch_size", "learning_rate")}
    return TrainedBy(
        run=run,
        started=record["started"],
        commit=record["commit"],
        uncommitted=record["dirty"],
        package_sha256=record["package_sha256"],
        machine=", ".join(part for part in parts if part),
        versions={name: version for name, version in record["versions"].items() if version},
        settings=settings | {"condition": spec.task_condition, "base": inputs.config.model.base},
    )
