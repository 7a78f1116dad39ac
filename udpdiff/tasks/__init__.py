"""The dense tasks of UDPDiff: a task is a value (name, id, phrase, colormap, decoder), never a file or a branch.

Knows nothing about models, colours or data. Adding a dense task is one line in `TASKS` plus the
representation module that its decoder names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import numpy as np


@dataclass(frozen=True)
class Task:
    """One dense prediction task d.

    name: key used in configurations, folder names and calls. id: row of the task embedding, never reused.
    phrase: how a prompt names the task in the task-as-text variant. colormap: name of the standard
    representation. decoder: `module:function`, imported on first use, which turns a colormap uint8 (T, H, W,
    3) into the prediction (T, H, W).

    Source: UDPDiff, section 3.4 (task id d and its embedding).
    """

    name: str
    id: int
    phrase: str
    colormap: str
    decoder: str

    def decode(self, colormap: np.ndarray) -> np.ndarray:
        """Decode a colormap uint8 (T, H, W, 3) into the task's prediction (T, H, W)."""
        module, function = self.decoder.split(":")
        decode: Callable[[np.ndarray], np.ndarray] = getattr(import_module(module), function)
        return decode(colormap)


_REPRESENTATIONS = "udpdiff.representations"

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(
            "seg",
            0,
            "entity segmentation",
            "pixelplanes",
            f"{_REPRESENTATIONS}.entity_decoding:decode_entities",
        ),
        Task("depth", 1, "depth estimation", "spectral", f"{_REPRESENTATIONS}.spectral:decode_depth"),
    )
}


def get_task(name: str) -> Task:
    """Return the task of that name; ValueError when there is none."""
    if name not in TASKS:
        raise ValueError(f"Unknown task: got {name!r}, expected one of {sorted(TASKS)}. Register it in udpdiff.tasks.")
    return TASKS[name]


def task_prompt(caption: str, task: str | Task) -> str:
    """Return the caption with the task named in it, for the task-as-text variant.

    The task comes first, so that truncation to the text encoder's length can only ever cut the caption.

    Source: UDPDiff, table 5 ("Text prompt"); the paper does not give the wording.
    """
    task = get_task(task) if isinstance(task, str) else task
    return f"{task.phrase}: {caption}"
