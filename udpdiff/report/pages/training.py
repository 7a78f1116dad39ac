"""Training: losses of every shown run over its steps."""

from __future__ import annotations

from numbers import Real
from pathlib import Path

from udpdiff.metrics.against_base import video_losses
from udpdiff.report import plots
from udpdiff.report.inputs import Inputs
from udpdiff.report.site import PageData
from udpdiff.training.log import TIMESTEP_BINS, read_log

_TIMESTEPS = 1000


class Training(PageData):
    curves: list[dict[str, str]]


def training(inputs: Inputs, media: Path) -> Training:
    """Return what the page shows, its plots drawn into `media`."""
    return Training(curves=_curves(inputs, media))


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
