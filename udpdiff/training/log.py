"""The training log: `train.jsonl`, one json object per line, only ever appended to while a training runs.

Losses are means over all samples since the entry before. An entry has `step`, `seconds`, `loss`, `loss_STREAM` (by
stream), `loss_task` (by task), `loss_timestep` (quarters of the video's timesteps, least noise first), `grad_norm`,
`learning_rate`, `steps_per_second`, `seconds_left`, `compute_share` and `peak_gpu_gb` (of the first process, since its
start); a validation entry has `step` and `validation`, whose losses are of the clips validated on, with `loss_video_clip`
(the video's, by clip) beside them. A value is missing where no sample contributed to it, or no GPU.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from udpdiff.storage.files import append_line, write_text

if TYPE_CHECKING:
    import torch

    from udpdiff.training.objective import SampleLosses

LOG = "train.jsonl"
CLIP_LOSSES = "loss_video_clip"
TIMESTEP_BINS = 4


class LossWindow:
    """Sums of losses since the last log entry; json-able, so that a resumed run logs what an unbroken one would."""

    def __init__(self, sums: dict[str, list[float]] | None = None) -> None:
        self.sums = dict(sums or {})

    def add(self, name: str, values: torch.Tensor) -> None:
        """Add the losses of some samples, float (n,)."""
        if not values.numel():
            return
        total, count = self.sums.get(name, (0.0, 0))
        self.sums[name] = [total + values.double().sum().item(), count + values.numel()]

    def mean(self, name: str) -> float | None:
        """Return the mean so far, None without samples."""
        total, count = self.sums.get(name, (0.0, 0))
        return total / count if count else None

    def add_samples(self, losses: SampleLosses, timestep_bins: torch.Tensor, tasks: Sequence[str | None]) -> None:
        """Add the losses of B samples.

        Args:
            losses: Of each stream.
            timestep_bins: Long (B,).
            tasks: B names; None where a sample shows no single task.
        """
        total = losses.total
        self.add("loss", total)
        for stream, values in losses.by_stream.items():
            self.add(f"stream {stream}", values)
        for index in range(TIMESTEP_BINS):
            self.add(f"bin {index}", total[timestep_bins == index])
        for task in sorted(set(tasks) - {None}):
            rows = [row for row, name in enumerate(tasks) if name == task]
            self.add(f"task {task}", total[rows])

    def add_clips(self, losses: torch.Tensor, clip_ids: Sequence[str]) -> None:
        """Add the losses of the video of B samples, float (B,), by the B clips they are of."""
        for row, clip_id in enumerate(clip_ids):
            self.add(f"clip {clip_id}", losses[row : row + 1])

    def add_sums(self, sums: dict[str, list[float]]) -> None:
        """Add what another window holds."""
        for name, (total, count) in sums.items():
            own_total, own_count = self.sums.get(name, (0.0, 0))
            self.sums[name] = [own_total + total, own_count + count]

    def entry(self) -> dict[str, Any]:
        """Return the loss part of a log entry and start anew."""
        entry = {
            "loss": self.mean("loss"),
            **{f"loss_{stream}": mean for stream, mean in self._means("stream ").items()},
            "loss_task": dict(sorted(self._means("task ").items())) or None,
            "loss_timestep": [self.mean(f"bin {index}") for index in range(TIMESTEP_BINS)],
            "grad_norm": self.mean("grad_norm"),
            CLIP_LOSSES: dict(sorted(self._means("clip ").items())) or None,
        }
        self.sums = {}
        return {name: value for name, value in entry.items() if value is not None}

    def _means(self, prefix: str) -> dict[str, float | None]:
        return {name.removeprefix(prefix): self.mean(name) for name in self.sums if name.startswith(prefix)}


def timestep_bins(timesteps: torch.Tensor, num_timesteps: int) -> torch.Tensor:
    """Return the quarter of the noise schedule that each timestep is in, of the shape of `timesteps`."""
    return timesteps * TIMESTEP_BINS // num_timesteps


def append_entry(path: Path, entry: dict[str, Any]) -> None:
    """Append one line; raises StorageError where it cannot be written."""
    append_line(path, json.dumps(entry))


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return all whole entries; a line cut short by a crash, or damaged, is left out."""
    if not path.exists():
        return []
    entries = []
    for line in path.read_bytes().splitlines():
        with contextlib.suppress(ValueError):
            entries.append(json.loads(line))
    return [entry for entry in entries if isinstance(entry, dict) and isinstance(entry.get("step"), int)]


def truncate_log(path: Path, step: int) -> None:
    """Drop the entries after a step: the steps are about to be trained again."""
    kept = [entry for entry in read_log(path) if entry["step"] <= step]
    write_text(path, "".join(json.dumps(entry) + "\n" for entry in kept))
