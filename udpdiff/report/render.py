"""The report: two pages, opened from disk, that show what was measured, made and used, and how good the labels are.

Everything that reaches a page goes through Jinja's autoescaping; the pages ask nothing of a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from markupsafe import Markup

from udpdiff.jobs import RenderReport
from udpdiff.metrics.against_base import video_losses
from udpdiff.planning import costs
from udpdiff.report import gallery, plots, quality
from udpdiff.report.inputs import Inputs
from udpdiff.report.label_page import label_page
from udpdiff.report.worst_labels import MAX_DEPTH_ERROR
from udpdiff.storage.files import write_text
from udpdiff.storage.sealed import check_file, read_record
from udpdiff.tables import specs
from udpdiff.tables.paper import PAPER_TABLES
from udpdiff.training.log import TIMESTEP_BINS, read_log
from udpdiff.workflow import VIDEO
from udpdiff.workflow_benchmarks import benchmark_names

_TEMPLATES = Path(__file__).parent / "templates"
_TIMESTEPS = 1000


def render(
    job: RenderReport,
    results: Path,
    benchmarks: Path,
    measured: Sequence[Path],
    summaries: Sequence[Path],
    page: Path,
    media: Path,
) -> dict[str, float]:
    """Write the page, `labels.html` beside it and their media.

    Args:
        job: What is shown.
        results: The results folder.
        benchmarks: Snakemake's benchmark files.
        measured: Files of the measuring rules.
        summaries: Of the shards in `Workflow.report_summaries`.
        page: `index.html`.
        media: A folder beside it.

    Returns:
        The figures of quality.json, cost included.
    """
    inputs = Inputs(job, results, measured, summaries)
    finished = costs.read_jobs(benchmarks)
    named = benchmark_names(inputs.workflow)
    jobs = [job for job in finished if f"{job.rule}/{job.job}" in named]
    stages = costs.seconds_per_rule(jobs)
    figures = quality.collect(
        inputs.measured,
        inputs.featured_run(),
        bootstrap_samples=job.config.metrics.bootstrap_samples,
        seed=job.config.seed,
    )
    figures["cost.total_seconds"] = round(costs.Invocations(results).total_seconds(finished), 1)
    figures["cost.peak_rss_gb"] = round(costs.peak_rss_gb(jobs), 3)
    figures |= {f"cost.{rule}_seconds": round(row["seconds"], 1) for rule, row in stages.items()}
    context = {
        "config": job.config,
        "config_yaml": yaml.safe_dump(job.config.model_dump(mode="json"), sort_keys=False, allow_unicode=True),
        "generated": [gallery.generated(inputs, run, task, media) for run, task in inputs.featured_pairs()],
        "compared": gallery.compared(inputs, media),
        "against_base": _against_base(inputs),
        "data": gallery.data_set(inputs, media),
        "tables": [_table(number, inputs.path(f"results/table{number}.csv")) for number in job.tables],
        "curves": _curves(inputs, media),
        "provenance": _provenance(inputs),
        "labels": label_page(inputs, media),
        "max_depth_error": MAX_DEPTH_ERROR,
        "figures": figures,
        "verdicts": quality.judge(figures, job.config.report.goals),
        "stages": stages,
        "style": Markup((_TEMPLATES / "style.css").read_text()),
    }
    environment = _environment()
    for path, template in ((page, "index.html.j2"), (page.with_name("labels.html"), "labels.html.j2")):
        write_text(path, environment.get_template(template).render(context))
    return figures


def _environment():
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.filters["number"] = _number
    environment.filters["figure"] = _figure
    environment.filters["signed"] = _signed
    return environment


def _number(value: float | None, digits: int = 3) -> str:
    """A figure for people: a dash when it was not measured."""
    if value is None or value != value:
        return "–"
    return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:,.0f}"


def _signed(value: float, digits: int) -> str:
    """A difference, with its sign and a true minus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def _figure(value: float | None) -> str:
    """A figure of a table: as many digits as its size can carry."""
    return _number(
        value, 2 if value is not None and abs(value) >= 10 else 4 if value is not None and abs(value) < 0.1 else 3
    )


def _table(number: int, path: Path) -> dict[str, Any]:
    """A csv as rows for the page: every metric with ours, its interval and the paper's value apart."""
    check_file(path)
    spec, frame = specs.TABLES[number], pd.read_csv(path)
    columns = [metric for metric in (*spec.metrics, *spec.extra) if f"{metric.name}_ours" in frame.columns]
    made_by = {
        metric.label: sorted(set(frame[f"{metric.name}_extractor"].dropna()))
        for metric in columns
        if f"{metric.name}_extractor" in frame.columns
    }
    return {
        "number": number,
        "title": PAPER_TABLES[number].title,
        "metrics": [{"name": m.name, "label": m.label, "printed": m in spec.metrics} for m in columns],
        "rows": frame.astype(object).where(frame.notna(), None).to_dict("records"),
        "extractors": [f"{label}: {', '.join(names)}" for label, names in made_by.items() if names],
    }


def _against_base(inputs: Inputs) -> dict[str, Any] | None:
    """One row per run and task: its distances and its video loss as multiples of the base's; and their conditions."""
    found = inputs.against_base()
    if not found:
        return None
    measured = {run: each["metrics"] for run, each in found["variants"]["runs"].items()}
    pairs = [(run, task) for run, task in inputs.shown if run in measured and task != VIDEO]
    rows = [
        {"run": run, "task": task}
        | {name: measured[run].get(f"{name}_{task}") for name in ("fvd_ratio", "kvd_ratio")}
        | {name: measured[run].get(name) for name in ("video_loss", "video_loss_ratio")}
        for run, task in pairs
    ]
    return {"rows": rows, "conditions": found["conditions"]}


def _curves(inputs: Inputs, media: Path) -> list[dict[str, str]]:
    """Plots of the shown runs' training logs: a panel per stream, and one per part of the noise schedule."""
    logs = {run: read_log(inputs.run_file(run, "train.jsonl")) for run in inputs.runs}
    logs = {run: entries for run, entries in logs.items() if entries}
    if not logs:
        return []
    entries = [entry for log in logs.values() for entry in log]
    names = dict.fromkeys(name for entry in entries for name, value in entry.items() if isinstance(value, Real))
    streams = [name for name in names if name.startswith("loss_")]
    width = _TIMESTEPS // TIMESTEP_BINS
    timesteps = {
        f"loss_timestep.{part}": f"timesteps {width * part}–{width * (part + 1) - 1}" for part in range(TIMESTEP_BINS)
    }
    panels = {"loss": "all streams"} | {name: f"{name.removeprefix('loss_')} stream" for name in streams}
    curves = [
        (plots.training_curves(logs, panels, media / "curves.svg", "loss"), "Loss over training, by stream"),
        (
            plots.training_curves(logs, timesteps, media / "timesteps.svg", "loss"),
            "Loss over training, by quarter of the noise schedule",
        ),
    ]
    losses = {inputs.run_label(run): video_losses(log) for run, log in logs.items()}
    base = inputs.run_label(inputs.workflow.base_run()) if inputs.workflow.base_run() else None
    if losses.get(base) and len(losses) > 1:
        losses = {label: found for label, found in losses.items() if found}
        path = plots.losses_against_base(losses, base, media / "against_base.svg")
        curves.append((path, "The video's validation loss against that of the base, by run and initialisation"))
    return [{"image": f"{media.name}/{path.name}", "title": title} for path, title in curves]


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
