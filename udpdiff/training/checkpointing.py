"""Checkpoints of a training: whole or absent, never half-written, never unpickled.

A checkpoint is a folder `checkpoint-<step>` with the trained weights (safetensors), their average if there is one, the
optimizer's state and a small json. Nothing here knows what a step does.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from udpdiff.storage.folders import replace_folder

_NAME = re.compile(r"checkpoint-(\d+)")
KEPT = 2


@dataclass
class Checkpoint:
    """All that a training continues from.

    step: optimizer steps done. weights: trained parameters by name. average: the same names, or None. optimizer: its
    `state_dict()`. extra: json-able rest (log window, seconds spent, loss scaler).
    """

    step: int
    fingerprint: str
    weights: dict[str, torch.Tensor]
    average: dict[str, torch.Tensor] | None
    optimizer: dict[str, Any]
    extra: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write `folder/checkpoint-<step>` whole or not at all, then drop all but the newest two."""
    final = folder / f"checkpoint-{checkpoint.step}"
    state = {"step": checkpoint.step, "fingerprint": checkpoint.fingerprint, "extra": checkpoint.extra}
    with replace_folder(final) as fresh:
        save_file(_plain(checkpoint.weights), fresh / "weights.safetensors")
        if checkpoint.average is not None:
            save_file(_plain(checkpoint.average), fresh / "average.safetensors")
        torch.save(checkpoint.optimizer, fresh / "optimizer.pt")
        (fresh / "state.json").write_text(json.dumps(state), encoding="utf-8")
    for old in sorted(checkpoint_steps(folder))[:-KEPT]:
        shutil.rmtree(folder / f"checkpoint-{old}")
    return final


def checkpoint_steps(folder: Path) -> list[int]:
    """Return the steps of the whole checkpoints in a folder, ascending."""
    if not folder.is_dir():
        return []
    matches = (_NAME.fullmatch(path.name) for path in folder.iterdir())
    return sorted(int(match.group(1)) for match in matches if match)


def read_state(folder: Path, step: int) -> dict[str, Any]:
    """Return the small json of a checkpoint: step, fingerprint, extra."""
    return json.loads((folder / f"checkpoint-{step}" / "state.json").read_text(encoding="utf-8"))


def load_checkpoint(folder: Path, step: int) -> Checkpoint:
    """Read `folder/checkpoint-<step>` onto the CPU."""
    path = folder / f"checkpoint-{step}"
    state = read_state(folder, step)
    average = path / "average.safetensors"
    return Checkpoint(
        step=state["step"],
        fingerprint=state["fingerprint"],
        weights=load_file(path / "weights.safetensors"),
        average=load_file(average) if average.exists() else None,
        optimizer=torch.load(path / "optimizer.pt", map_location="cpu", weights_only=True),
        extra=state["extra"],
    )


def _plain(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
