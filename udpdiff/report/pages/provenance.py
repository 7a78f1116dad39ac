"""How it was made: configuration, code, versions, hardware, and what each stage cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from udpdiff.planning import costs
from udpdiff.report.inputs import Inputs
from udpdiff.report.site import PageData
from udpdiff.storage.sealed import read_record


class Provenance(PageData):
    facts: dict[str, Any]
    runs: list[dict[str, Any]]
    config_yaml: str
    stages: dict[str, dict[str, float]]
    total_seconds: float
    peak_rss_gb: float


def provenance(inputs: Inputs, media: Path) -> Provenance:
    """Return what the page shows."""
    return Provenance(
        **_provenance(inputs),
        config_yaml=yaml.safe_dump(inputs.config.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
        stages=costs.seconds_per_rule(inputs.costs),
        total_seconds=inputs.figures["cost.total_seconds"],
        peak_rss_gb=inputs.figures["cost.peak_rss_gb"],
    )


def _provenance(inputs: Inputs) -> dict[str, Any]:
    """Code, versions and hardware of the first trained run, and one line per run."""
    records = {run: read_record(inputs.run_file(run, "provenance.json")) for run in inputs.runs}
    if not records:
        return {"facts": {}, "runs": []}
    first = next(iter(records.values()))
    facts = {
        "commit": first["commit"],
        "uncommitted changes": first["dirty"],
        "package sha256": first["package_sha256"],
    }
    facts |= {name: version for name, version in first["versions"].items() if version}
    facts |= {name: value for name, value in first["hardware"].items() if value}
    lines = []
    for run, record in records.items():
        spec, recipe = inputs.config.runs[run], inputs.config.recipe(run)
        line = {"run": run, "started": record["started"], "package": record["package_sha256"][:12]}
        line |= {name: getattr(recipe, name) for name in ("steps", "batch_size", "learning_rate")}
        line |= {"tasks": spec.tasks, "task_condition": spec.task_condition, "base": inputs.config.model.base}
        lines.append(line)
    return {"facts": facts, "runs": lines}
