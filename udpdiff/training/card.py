"""The card of an exported run, its README.md: data, steps, losses, figures where they are known, limits, licence.

Its head is what the hub reads of a model. Nothing in it comes from the clock, so that equal runs have equal cards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from udpdiff import jobs
from udpdiff.checkpoints.licences import VIDEOS, licence_of, with_licence
from udpdiff.metrics.registry import describe
from udpdiff.model.sampling_defaults import CALL, MINI_CALL
from udpdiff.tasks import get_task

CARD = "README.md"
_LOSSES = {"loss": "all streams", "loss_video": "video", "loss_dense": "dense stream"}


def model_card(
    settings: Mapping[str, Any],
    clips: Mapping[str, int],
    log: Sequence[Mapping[str, Any]],
    figures: Mapping[str, Mapping[str, Any]] | None = None,
    data: str = "",
) -> str:
    """Return a card in Markdown.

    Args:
        settings: Those of the training, see `TrainingSettings`.
        clips: How many clips it trained on, by task; `video` for a run without one.
        log: Entries of `train.jsonl`.
        figures: Measured of its samples: by task and name of the figure, `value`, `low`, `high` and `n`; None where they
            are not known.
        data: What the clips are, in words.
    """
    tasks, base = list(settings["tasks"]), settings["base"]
    dense = " or ".join(get_task(task).phrase for task in tasks)
    makes = f"a video together with its {dense}" if tasks else "a video"
    steps, batch = settings["steps"], settings["batch_size"]
    shares = ", ".join(f"{task} {share:.0%}" for task, share in settings["tasks"].items()) or "none, the video alone"
    counted = ", ".join(f"{count:,} clips for {task}" for task, count in clips.items())
    counted = "; ".join(filter(None, (data, counted))) or "not recorded"
    lines = [
        *_head(base),
        f"# {settings['run']}",
        "",
        f"Makes {makes} from one prompt: a UDPDiff model (CVPR 2025), trained with the open implementation `udpdiff` from"
        f" the base `{base}`.",
        "",
        "## Use",
        "",
        "```python",
        "from udpdiff import UDPDiffPipeline" if tasks else "from diffusers import CogVideoXPipeline",
        "",
        f'pipeline = {"UDPDiffPipeline" if tasks else "CogVideoXPipeline"}.from_pretrained("FOLDER")',
        f"call = {MINI_CALL if base.startswith('mini:') else CALL}".replace("'", '"'),
        f'output = pipeline("A red ball rolls left."{f", task={tasks[0]!r}" if tasks else ""}, **call)'.replace(
            "'", '"'
        ),
        "```",
        "",
        "## Training",
        "",
        f"- Data: {counted}. Tasks by share of the samples: {shares}.",
        f"- Steps: {steps:,} of {batch} samples, {settings['optimizer']}, learning rate {settings['learning_rate']:g},"
        f" {settings['schedule']}; seed {settings['seed']}; {_precision(settings)}.",
        f"- New channels: `init_in: {settings['init_in']}`, `init_out: {settings['init_out']}`; tasks are told by"
        f" {settings['task_condition']}.",
        "",
        *_losses(log),
        *_figures(settings["run"], tasks, figures or {}),
        "## Limits",
        "",
        *(f"- {line}" for line in _limits(base, settings)),
        "",
    ]
    return "\n".join(lines)


def data_words(origin: jobs.DataOrigin) -> str:
    """Return what clips and labels are of, with licences, for a card."""
    parts = [f"{part.lower()} by {with_licence(labeller)}" for part, labeller in origin.labellers.items()]
    return "; ".join([f"videos: {VIDEOS[origin.source]}", *parts])


def _head(base: str) -> list[str]:
    is_apache = licence_of(base).startswith("Apache-2.0")
    known = ["license: apache-2.0"] if is_apache else ["license: other", "license_name: that-of-the-base"]
    hub = [f"base_model: {base.partition('@')[0]}"] if "/" in base and ":" not in base else []
    return ["---", *known, *hub, "library_name: diffusers", "pipeline_tag: text-to-video", "tags: [udpdiff]", "---", ""]


def _precision(settings: Mapping[str, Any]) -> str:
    words = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}[settings["mixed_precision"]]
    return f"{words}, low-rank updates of rank {settings['lora_rank']}" if settings["lora_rank"] else words


def _losses(log: Sequence[Mapping[str, Any]]) -> list[str]:
    """A table of the first and the last training entry and of the last validation."""
    trained = [entry for entry in log if "loss" in entry]
    if not trained:
        return []
    first, last = trained[0], trained[-1]
    validation = next((entry["validation"] for entry in reversed(log) if "validation" in entry), {})
    rows = [
        f"| {words} | {_number(first.get(key))} | {_number(last.get(key))} | {_number(validation.get(key))} |"
        for key, words in _LOSSES.items()
        if key in last
    ]
    head = f"| loss | to step {first['step']} | to step {last['step']} | validation |"
    return [head, "|---|---|---|---|", *rows, ""]


def _figures(run: str, tasks: Sequence[str], figures: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A table of what is known, and in words what is not and where it would come from."""
    source = (
        "The workflow measures samples after the training, for its report and into"
        f" `results/metrics/{run}/TASK/quality.json`; `udpdiff export results/runs/{run} FOLDER` writes a card with what is"
        f" there (`--metrics results/metrics/{run}`, where it is not beside the run)."
    )
    if not figures:
        return ["## Figures", "", f"Not in this card, which was written without them. {source}", ""]
    missing = [task for task in tasks if task not in figures]
    rows = []
    for task, measured in figures.items():
        for key, found in measured.items():
            figure, low, high = describe(f"generated.{key}"), found.get("low"), found.get("high")
            interval = "" if low is None else f" ({figure.text(low)} to {figure.text(high)})"
            rows.append(f"| {task} | {figure.label} | {figure.text(found['value'])}{interval} | {found.get('n', '')} |")
    head = ["| samples for | figure | value (95 % interval) | n |", "|---|---|---|---|"]
    said = "Of its own samples, dense predictions against a labeller's."
    said += f" None for {' and '.join(missing)}. {source}" if missing else ""
    return ["## Figures", "", said, "", *head, *rows, ""]


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _limits(base: str, settings: Mapping[str, Any]) -> list[str]:
    lines = []
    if base.startswith("mini:"):
        lines.append(
            "Mini scale: trained on rendered scenes of balls, cubes, cones and cylinders at 64 x 64 pixels, and it knows"
            " nothing else. Its numbers compare with no published model."
        )
    if settings["tasks"]:
        lines.append(
            "Dense predictions follow the labellers that it learnt from, errors included; depth is relative within a clip,"
            " 1 = nearest."
        )
    lines.append(
        f"Weights derive from `{base}`, whose licence and terms hold for them ({licence_of(base)}), as do those of the training"
        " data."
    )
    return lines
