"""Checkpoints of a training: whole or absent, never half-written, never unpickled, and checked when they are read.

A checkpoint is a folder `checkpoint-<step>` with the trained weights (safetensors), their average if there is one, the
optimizer's state and `state.json`, which holds the digest of each. Nothing here knows what a step does.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from udpdiff.storage.files import replace_folder, write_json

_NAME = re.compile(r"checkpoint-(\d+)")
_WEIGHTS, _AVERAGE, _OPTIMIZER, _STATE = "weights.safetensors", "average.safetensors", "optimizer.pt", "state.json"
KEPT = 2


class DamagedCheckpoint(ValueError):
    """A checkpoint does not hold what was written to it."""


@dataclass
class Checkpoint:
    """All that a training continues from.

    Attributes:
        step: Optimizer steps done.
        identity: What decides the weights, see `state.identify`; json-able.
        weights: Trained parameters by name.
        average: The same names, or None.
        optimizer: Its `state_dict()`.
        extra: Json-able rest (log window, seconds spent, loss scaler).
    """

    step: int
    identity: dict[str, Any]
    weights: dict[str, torch.Tensor]
    average: dict[str, torch.Tensor] | None
    optimizer: dict[str, Any]
    extra: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write `folder/checkpoint-<step>` whole or not at all, then drop all but this one and the one before it.

    Later ones, which only damage can have left behind, go too: their steps were taken again.
    """
    final = folder / f"checkpoint-{checkpoint.step}"
    with replace_folder(final) as fresh:
        save_file(_plain(checkpoint.weights), fresh / _WEIGHTS)
        if checkpoint.average is not None:
            save_file(_plain(checkpoint.average), fresh / _AVERAGE)
        torch.save(checkpoint.optimizer, fresh / _OPTIMIZER)
        state = {"step": checkpoint.step, "identity": checkpoint.identity, "extra": checkpoint.extra}
        write_json(fresh / _STATE, state | {"sha256": {path.name: _sha256(path) for path in sorted(fresh.iterdir())}})
    steps = checkpoint_steps(folder)
    kept = [step for step in steps if step <= checkpoint.step][-KEPT:]
    for step in set(steps) - set(kept):
        shutil.rmtree(folder / f"checkpoint-{step}")
    return final


def checkpoint_steps(folder: Path) -> list[int]:
    """Return the steps of the checkpoints in a folder, ascending."""
    if not folder.is_dir():
        return []
    matches = (_NAME.fullmatch(path.name) for path in folder.iterdir())
    return sorted(int(match.group(1)) for match in matches if match)


def read_state(folder: Path, step: int) -> dict[str, Any]:
    """Return the small json of a checkpoint: step, identity, extra, sha256.

    Raises:
        DamagedCheckpoint: It is missing, cut short, or of an earlier version.
    """
    path = folder / f"checkpoint-{step}" / _STATE
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
        return {name: state[name] for name in ("step", "identity", "extra", "sha256")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DamagedCheckpoint(f"{path} is damaged ({error!r})") from None


def load_checkpoint(folder: Path, step: int) -> Checkpoint:
    """Read `folder/checkpoint-<step>` onto the CPU.

    Raises:
        DamagedCheckpoint: A file is missing or its digest is not the one that it was written with.
    """
    path, state = folder / f"checkpoint-{step}", read_state(folder, step)
    for name, expected in state["sha256"].items():
        if not (path / name).is_file() or _sha256(path / name) != expected:
            raise DamagedCheckpoint(f"{path / name} is missing or damaged: it is not what was written")
    return Checkpoint(
        step=state["step"],
        identity=state["identity"],
        weights=load_file(path / _WEIGHTS),
        average=load_file(path / _AVERAGE) if _AVERAGE in state["sha256"] else None,
        optimizer=torch.load(path / _OPTIMIZER, map_location="cpu", weights_only=True),
        extra=state["extra"],
    )


def load_newest(folder: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest whole checkpoint of a folder, None without one, and what is wrong with those after it."""
    faults = []
    for step in reversed(checkpoint_steps(folder)):
        try:
            return load_checkpoint(folder, step), faults
        except DamagedCheckpoint as error:
            faults.append(str(error))
    return None, faults


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plain(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
