"""The training log on its way to trackers as well: tensorboard, wandb, trackio, by accelerate; none unless asked for.

`train.jsonl` stays what everything here reads. Nothing of a result depends on a tracker.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from accelerate import Accelerator
from accelerate.tracking import filter_trackers

from udpdiff.training.log import CLIP_LOSSES
from udpdiff.training.settings import TrainingSettings

_PROJECT = "udpdiff"


def start_trackers(accelerator: Accelerator, settings: TrainingSettings, folder: str) -> None:
    """Start the trackers of a run in the first process; tensorboard writes into FOLDER/udpdiff.

    Raises:
        ValueError: A tracker is not installed.
    """
    if not settings.trackers:
        return
    for name in settings.trackers:
        if importlib.util.find_spec(name) is None:
            raise ValueError(
                f"training.trackers: got {name!r}, which is not installed, expected an installed one. `pip install {name}`,"
                " or leave it out."
            )
    accelerator.log_with = filter_trackers(list(settings.trackers), folder)
    accelerator.project_configuration.set_directories(folder)
    plain = {name: value for name, value in asdict(settings).items() if isinstance(value, bool | int | float | str)}
    named = {"name": settings.run}
    accelerator.init_trackers(_PROJECT, config=plain, init_kwargs={"wandb": named, "trackio": named})


def track(accelerator: Accelerator, entry: Mapping[str, Any], step: int) -> None:
    """Send an entry of the training log to the trackers, if there are any."""
    if accelerator.trackers:
        accelerator.log(dict(flat(entry)), step=step)


def finish_trackers(accelerator: Accelerator) -> None:
    """Let the trackers write what they hold; unlike accelerate's own ending, the processes stay joined."""
    for tracker in accelerator.trackers:
        tracker.finish()


def flat(entry: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    """Yield (name, number) of an entry, `loss_task/depth` and `loss_timestep/0` of what has parts; none by clip."""
    for name, value in entry.items():
        if name == CLIP_LOSSES:
            continue
        parts = dict(enumerate(value)) if isinstance(value, list) else value
        if isinstance(parts, Mapping):
            yield from flat({str(part): number for part, number in parts.items()}, f"{above}{name}/")
        elif parts is not None:
            yield f"{above}{name}", parts
