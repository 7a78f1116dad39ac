"""The report: two pages, opened from disk, that show what was measured, made and used, and how good the labels are.

Everything that reaches a page goes through Jinja's autoescaping; the pages ask nothing of a network.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import pandas as pd
import yaml
from markupsafe import Markup

from udpdiff.planning import costs
from udpdiff.report import gallery, plots, quality
from udpdiff.report.failures import MAX_DEPTH_ERROR
from udpdiff.report.label_page import label_page
from udpdiff.storage.captions import read_captions
from udpdiff.tables import specs
from udpdiff.tables.paper import PAPER_TABLES
from udpdiff.training.log import read_log

_TEMPLATES = Path(__file__).parent / "templates"


def render(settings: dict, results: Path, benchmarks: Path, measured: list[Path], page: Path, media: Path) -> dict:
    """Writes the page, `labels.html` beside it and their media; returns the figures of quality.json, cost included."""
    # Only what was measured for this report is shown: other runs of the configuration may not be there, or be old.
    shown = {path.parts[-3:-1] for path in measured if path.name == "quality.json"}
    tasks = {run: list(spec["tasks"]) or ["video"] for run, spec in settings["runs"].items()}
    runs = {run: own for run, own in tasks.items() if all((run, task) in shown for task in own)}
    examples = settings["report"]["examples"]
    context = {
        "settings": settings,
        "settings_yaml": yaml.safe_dump(settings, sort_keys=False, allow_unicode=True),
        "generated": _generated(results, runs, examples, media),
        "compared": _compared(results, runs, examples, media),
        "data": _data_set(settings, results, media),
        "tables": _tables(results),
        "curves": _curves(results, runs, media),
        "provenance": _provenance(results, runs),
        "labels": label_page(settings, results, _label_figures(measured), media),
        "max_depth_error": MAX_DEPTH_ERROR,
    }
    figures = quality.collect(measured)
    jobs = costs.read_jobs(benchmarks)
    figures["cost.total_seconds"] = round(costs.Invocations(results).total_seconds(), 1)
    figures["cost.peak_rss_gb"] = round(costs.peak_rss_gb(jobs), 3)
    for rule, row in costs.seconds_per_rule(jobs).items():
        figures[f"cost.{rule}_seconds"] = round(row["seconds"], 1)
    context |= {
        "figures": figures,
        "verdicts": quality.judge(figures),
        "stages": costs.seconds_per_rule(jobs),
        "jobs": [asdict(job) for job in jobs],
    }
    page.parent.mkdir(parents=True, exist_ok=True)
    context["style"] = Markup((_TEMPLATES / "style.css").read_text())
    environment = _environment()
    for path, template in ((page, "index.html.j2"), (page.with_name("labels.html"), "labels.html.j2")):
        path.write_text(environment.get_template(template).render(context), encoding="utf-8")
    return figures


def _label_figures(measured):
    """The content of labels.json, None where the clips have no truth."""
    path = next((path for path in measured if path.name == "labels.json"), None)
    return json.loads(path.read_text()) if path else None


def _environment():
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.filters["number"] = _number
    environment.filters["figure"] = _figure
    environment.filters["signed"] = _signed
    return environment


def _number(value, digits: int = 3) -> str:
    """A figure for people: a dash when it was not measured."""
    if value is None or value != value:
        return "–"
    return f"{value:.{digits}f}" if abs(value) < 1000 else f"{value:,.0f}"


def _signed(value: float, digits: int) -> str:
    """A difference, with its sign and a true minus."""
    return f"{value:+.{digits}f}".replace("-", "−")


def _figure(value) -> str:
    """A figure of a table: as many digits as its size can carry."""
    return _number(
        value, 2 if value is not None and abs(value) >= 10 else 4 if value is not None and abs(value) < 0.1 else 3
    )


def _generated(results, runs, examples, media):
    """Galleries of the multi-task run, then of the single-task runs, dense stream and decoded prediction included."""
    chosen = [("multi", "seg"), ("multi", "depth"), ("seg", "seg"), ("depth", "depth")]
    available = [(run, task) for run, task in chosen if task in runs.get(run, [])][:2]
    return [
        {
            "run": run,
            "task": task,
            "films": gallery.generated(results / "samples" / run / task, task, examples, media),
        }
        for run, task in available
    ]


def _compared(results, runs, examples, media):
    candidates = {
        "CogVideoX (base)": ("base", "video"),
        "UDPDiff (seg)": ("multi", "seg"),
        "UDPDiff (depth)": ("multi", "depth"),
    }
    samples = {
        label: results / "samples" / run / task
        for label, (run, task) in candidates.items()
        if task in runs.get(run, [])
    }
    return gallery.compared(samples, min(examples, 6), media) if len(samples) > 1 else []


def _data_set(settings, results, media):
    """Films of training clips with the judges' labels, counts per split and every rejection."""
    prompting, estimator = settings["metrics"]["judge_entities"], settings["metrics"]["judge_depth"]
    films, counts, shards, wordless = [], [], [], []
    for split in ("train", "evaluation"):
        clip_shards = gallery.in_order((results / "clips" / split).glob("*.h5"))
        shards += clip_shards
        tables = gallery.in_order((results / "captions" / split).glob("*.parquet"))
        words = read_captions(tables)
        wordless += gallery.rejected_captions(tables, split)
        counts.append({"split": split} | gallery.count(clip_shards))
        for path in clip_shards:
            entities = results / "entities" / prompting / split / path.name
            depth = results / "depth" / estimator / split / path.name
            if not (entities.exists() and depth.exists()):
                continue
            shards += [entities, depth]
            wanted = settings["report"]["examples"] - len(films)
            if split == "train" and wanted > 0:
                clips = gallery.labelled_clips(path, {prompting: entities}, {estimator: depth}, words)
                films += gallery.data_set(islice(clips, wanted), media, f"{split}-{path.stem}")
    return {"films": films, "counts": counts, "rejections": gallery.rejections(shards) + wordless}


def _tables(results):
    """Each csv as rows for the page: every metric with ours, its interval and the paper's value apart."""
    tables = []
    for number, spec in specs.TABLES.items():
        path = results / f"table{number}.csv"
        if not path.exists():
            continue
        frame = pd.read_csv(path)
        columns = [metric for metric in (*spec.metrics, *spec.extra) if f"{metric.name}_ours" in frame.columns]
        made_by = {
            metric.label: sorted(set(frame[f"{metric.name}_extractor"].dropna()))
            for metric in columns
            if f"{metric.name}_extractor" in frame.columns
        }
        tables.append(
            {
                "number": number,
                "title": PAPER_TABLES[number].title,
                "metrics": [{"name": m.name, "label": m.label, "printed": m in spec.metrics} for m in columns],
                "rows": frame.astype(object).where(frame.notna(), None).to_dict("records"),
                "extractors": [f"{label}: {', '.join(names)}" for label, names in made_by.items() if names],
            }
        )
    return tables


def _curves(results, runs, media):
    logs = {run: read_log(results / "training" / run / "train.jsonl") for run in runs}
    logs = {run: entries for run, entries in logs.items() if entries}
    if not logs:
        return []
    plot = plots.training_curves
    curves = [
        (
            plot(
                logs,
                {"loss": "both streams", "loss_video": "video stream", "loss_dense": "dense stream"},
                media / "curves.svg",
                "loss",
            ),
            "Loss over training, by stream",
        ),
        (
            plot(
                logs,
                {f"loss_timestep.{i}": f"timesteps {250 * i}–{250 * i + 249}" for i in range(4)},
                media / "timesteps.svg",
                "loss",
            ),
            "Loss over training, by quarter of the noise schedule",
        ),
    ]
    return [{"image": f"{media.name}/{path.name}", "title": title} for path, title in curves]


def _provenance(results, runs):
    """Code, versions and hardware of the first trained run, and one line per run."""
    records = {run: results / "training" / run / "provenance.json" for run in runs}
    records = {run: json.loads(path.read_text()) for run, path in records.items() if path.exists()}
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
    wanted = ("steps", "batch_size", "learning_rate", "tasks", "task_condition", "base")
    lines = [
        {"run": run, "started": record["started"], "package": record["package_sha256"][:12]}
        | {name: record["settings"][name] for name in wanted}
        for run, record in records.items()
    ]
    return {"facts": facts, "runs": lines}
