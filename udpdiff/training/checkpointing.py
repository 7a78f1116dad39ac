"""Checkpoints of a training: whole or absent, never half-written, never unpickled.

A checkpoint is a folder `checkpoint-<step>` with the trained weights (safetensors), their average if there is one, the
optimizer's state and a small json. Nothing here knows what a step does.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

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
    """Write `folder/checkpoint-<step>` under a temporary name, fsync, rename, then drop all but the newest two."""
    final = folder / f"checkpoint-{checkpoint.step}"
    temporary = folder / f".{final.name}.part"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_file(_plain(checkpoint.weights), temporary / "weights.safetensors")
    if checkpoint.average is not None:
        save_file(_plain(checkpoint.average), temporary / "average.safetensors")
    torch.save(checkpoint.optimizer, temporary / "optimizer.pt")
    state = {"step": checkpoint.step, "fingerprint": checkpoint.fingerprint, "extra": checkpoint.extra}
    (temporary / "state.json").write_text(json.dumps(state), encoding="utf-8")
    for path in temporary.iterdir():
        fsync(path)
    replace_folder(temporary, final)
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


def replace_folder(temporary: Path, final: Path) -> None:
    """Put a finished folder in the place of an older one, if any, and make the change durable."""
    old = final.with_name(f".{final.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if final.exists():
        final.rename(old)
    temporary.rename(final)
    shutil.rmtree(old, ignore_errors=True)
    fsync(final.parent)


def fsync(path: Path) -> None:
    """Flush a file, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _plain(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
