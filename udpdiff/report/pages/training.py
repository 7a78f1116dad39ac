"""Training: losses by stream, task and part of the noise schedule, speed, memory, sessions, runs against the base."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import Field

from udpdiff.gpu_memory import KEY
from udpdiff.metrics.against_base import shared_video_losses
from udpdiff.report.curves import Curve, Panel
from udpdiff.report.inputs import Inputs
from udpdiff.report.site import PageData
from udpdiff.storage.sealed import read_record
from udpdiff.training.log import TIMESTEP_BINS

_TIMESTEPS = 1000
MOST_POINTS = 240  # of a curve; more entries than that are averaged in equal groups


class Group(PageData):
    heading: str
    words: str
    panels: list[Panel]


class Session(PageData):
    started: str
    first_step: int
    commit: str = Field(description="With a + where there were uncommitted changes.")
    machine: str
    gpus: int


class TrainedRun(PageData):
    name: str
    label: str
    series: int
    steps: int
    batch_size: int
    final_loss: float | None
    final_validation: float | None
    seconds: float | None = Field(description="Of all sessions.")
    samples_per_second: float | None
    peak_rss_gb: float | None = Field(description="Of the job that finished it.")
    peak_gpu_gb: float | None = Field(
        description="Of the first process's GPU, over all sessions; null where none was used."
    )
    sessions: list[Session] = Field(description="Every start of the training; more than one where it was resumed.")
    entries_per_point: int = Field(description="Log entries whose mean is one point of a curve.")


class Training(PageData):
    runs: list[TrainedRun]
    groups: list[Group]


def training(inputs: Inputs, media: Path) -> Training:
    """Return what the page shows."""
    memory = {job.job: job.peak_rss_gb for job in inputs.costs if job.rule == "train"}
    logs = {run: inputs.training_log(run) for run in inputs.runs}
    logs = {run: entries for run, entries in logs.items() if entries}
    runs = [_run(inputs, run, entries, index, memory.get(run)) for index, (run, entries) in enumerate(logs.items())]
    return Training(runs=runs, groups=[group for group in _groups(inputs, _Drawn(runs, logs)) if group.panels])


def _run(inputs: Inputs, run: str, entries: list[dict], series: int, peak_rss_gb: float | None) -> TrainedRun:
    record = read_record(inputs.run_file(run, "provenance.json"))
    recipe, steps = inputs.config.recipe(run), [entry for entry in entries if "loss" in entry]
    validated = [entry["validation"].get("loss") for entry in entries if "validation" in entry]
    seconds = record.get("wall_seconds")
    return TrainedRun(
        name=run,
        label=inputs.run_label(run),
        series=series % 12,
        steps=entries[-1]["step"],
        batch_size=recipe.batch_size,
        final_loss=steps[-1]["loss"] if steps else None,
        final_validation=validated[-1] if validated else None,
        seconds=seconds,
        samples_per_second=entries[-1]["step"] * recipe.batch_size / seconds if seconds else None,
        peak_rss_gb=peak_rss_gb,
        peak_gpu_gb=max((entry[KEY] for entry in entries if KEY in entry), default=None),
        sessions=[_session(each) for each in record.get("sessions", [record])],
        entries_per_point=_group_size(len(steps)),
    )


def _session(record: Mapping) -> Session:
    hardware = record["hardware"]
    gpus = [gpu["name"] for gpu in hardware.get("gpus", [])]
    return Session(
        started=record["started"],
        first_step=record.get("first_step", 0),
        commit=(record["commit"] or "")[:12] + ("+" if record["dirty"] else ""),
        gpus=len(gpus),
        machine=", ".join(gpus) or hardware.get("processor") or "",
    )


class _Drawn:
    """Makes panels of what the runs logged."""

    def __init__(self, runs: Sequence[TrainedRun], logs: Mapping[str, list[dict]]) -> None:
        self.runs, self.logs = runs, logs

    def keys(self, prefix: str) -> list[str]:
        """Return the logged numbers under a prefix, in the order of first sight."""
        entries = [entry for log in self.logs.values() for entry in log]
        numbers = (key for entry in entries for key, value in entry.items() if isinstance(value, int | float))
        return [key for key in dict.fromkeys(numbers) if key.startswith(prefix)]

    def tasks(self) -> list[str]:
        entries = [entry for log in self.logs.values() for entry in log]
        return list(dict.fromkeys(task for entry in entries for task in entry.get("loss_task") or ()))

    def panel(self, title: str, pick: Callable[[Mapping], float | None], *, log: bool = True) -> Panel:
        """Return training curves, and those of the validation as marks on a dashed line, of the runs that have any."""
        curves = []
        for run in self.runs:
            entries = self.logs[run.name]
            trained = [(entry["step"], pick(entry)) for entry in entries if "validation" not in entry]
            checked = [(entry["step"], pick(entry["validation"])) for entry in entries if "validation" in entry]
            about = {"name": run.name, "series": run.series}
            if found := _points(trained, run.entries_per_point):
                curves.append(Curve(label=run.name, **about, **found))
            if found := _points(checked, 1):
                curves.append(Curve(label=f"{run.name} validation", marks=True, dashed=True, **about, **found))
        return Panel(title=title, log=log, curves=curves)


def _groups(inputs: Inputs, drawn: _Drawn) -> list[Group]:
    streams = {name: f"{name.removeprefix('loss_')} stream" for name in drawn.keys("loss_")}
    width = _TIMESTEPS // TIMESTEP_BINS
    bins = {part: f"timesteps {width * part}–{width * (part + 1) - 1}" for part in range(TIMESTEP_BINS)}
    by_stream = [drawn.panel(title, _at(key)) for key, title in ({"loss": "all streams"} | streams).items()]
    by_task = [drawn.panel(task, _at("loss_task", task)) for task in drawn.tasks()]
    by_timestep = [drawn.panel(title, _at("loss_timestep", part)) for part, title in bins.items()]
    groups = [
        Group(heading="Loss by stream", words="Line: training. Dots on a dashed line: validation on clips that no run trains on.", panels=by_stream),
        Group(heading="Loss by task", words="Both streams together, over the samples of one task.", panels=by_task),
        Group(heading="Loss by timestep", words=f"By part of the noise schedule of {_TIMESTEPS} timesteps; the first has the least noise.", panels=by_timestep),
        _against_base(inputs, drawn),
        Group(heading="Speed and state", words="Speed is measured between log entries, with all that happens there: validation and saving too. The share of computing is what is not waiting for data.", panels=_speed(drawn)),
    ]  # fmt: skip
    return [group.model_copy(update={"panels": [each for each in group.panels if each.curves]}) for group in groups]


def _speed(drawn: _Drawn) -> list[Panel]:
    speeds = []
    for run in drawn.runs:
        entries = [entry for entry in drawn.logs[run.name] if "seconds" in entry and "validation" not in entry]
        points = [
            (after["step"], (after["step"] - before["step"]) * run.batch_size / (after["seconds"] - before["seconds"]))
            for before, after in itertools.pairwise(entries)
            if after["seconds"] > before["seconds"]
        ]
        if found := _points(points, run.entries_per_point):
            speeds.append(Curve(name=run.name, label=run.name, series=run.series, **found))
    kept = {
        "compute_share": "share of computing",
        "grad_norm": "norm of the gradient",
        "learning_rate": "learning rate",
        KEY: "GPU memory, GB",
    }
    return [
        Panel(title="samples per second", curves=speeds),
        *(drawn.panel(title, _at(key), log=key == "grad_norm") for key, title in kept.items()),
    ]


def _against_base(inputs: Inputs, drawn: _Drawn) -> Group:
    """The video's validation loss of every run beside the base's, and divided by it after as many steps."""
    base = inputs.workflow.base_run()
    base_log = drawn.logs.get(base, [])
    losses = {run.name: shared_video_losses(drawn.logs[run.name], base_log) for run in drawn.runs}
    words = "Of each run on the clips that both it and the base were validated on, with the same captions, timesteps and noise. Above 1: learning the dense stream cost the video that much. One training each, so there is no interval."
    panels = []
    if base and losses.get(base) and len(losses) > 1:
        for title, divided in (("video validation loss", False), (f"divided by that of {base}", True)):
            curves = []
            for run in drawn.runs:
                found = losses[run.name]
                values = [loss / base_loss if divided else loss for loss, base_loss, _ in found.values()]
                if values:
                    about = {"name": run.name, "label": run.label, "series": run.series, "dashed": run.name == base}
                    curves.append(Curve(steps=list(found), values=values, marks=True, **about))
            panels.append(Panel(title=title, curves=curves))
    return Group(heading="The video's loss against the base, by run and initialisation", words=words, panels=panels)


def _at(*path: str | int) -> Callable[[Mapping], float | None]:
    """A function that finds a nested value of a log entry; None where there is none."""

    def pick(entry: Mapping) -> float | None:
        found = entry
        for part in path:
            inside = found if isinstance(found, Mapping) else dict(enumerate(found or ()))
            found = inside.get(part)
        return found

    return pick


def _points(points: Sequence[tuple[int, float | None]], group: int) -> dict[str, list] | None:
    """Steps and values, each the mean of a group of entries and the step of its last; None where nothing was logged."""
    if all(value is None for _, value in points):
        return None
    steps, values = [], []
    for first in range(0, len(points), group):
        own = points[first : first + group]
        known = [value for _, value in own if value is not None]
        steps.append(own[-1][0])
        values.append(float(f"{sum(known) / len(known):.5g}") if known else None)
    return {"steps": steps, "values": values}


def _group_size(entries: int) -> int:
    return max(1, -(-entries // MOST_POINTS))
