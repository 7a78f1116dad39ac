"""Checkpoints of a training: whole or absent, never half-written, never unpickled, and checked when they are read.

A checkpoint is a folder `checkpoint-<step>` with `weights/`, `average/` where there is one, `optimizer/`, all safetensors,
and `state.json`, which holds the digest of each file. All processes of a training call these functions together; each
writes, checks and reads its own part. Nothing here knows what a step does.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from udpdiff.files import file_sha256
from udpdiff.storage.errors import StorageError, writing
from udpdiff.storage.files import replace_folder
from udpdiff.storage.sealed import read_record, write_record
from udpdiff.training.processes import from_all, from_first, position, wait_for_all
from udpdiff.training.tensor_files import Tensors, load_tensors, save_tensors

_NAME = re.compile(r"checkpoint-(\d+)")
_LEFTOVER = re.compile(r"\.(checkpoint-\d+)\.(new|old)")  # as `replace_folder` names them
_STATE = "state.json"
WEIGHTS, AVERAGE, OPTIMIZER = "weights", "average", "optimizer"
KEPT = 2


class DamagedCheckpoint(ValueError):
    """A checkpoint does not hold what was written to it."""


def save_checkpoint(
    folder: Path, step: int, identity: Mapping[str, Any], parts: Mapping[str, Tensors], extra: Mapping[str, Any]
) -> Path:
    """Write `folder/checkpoint-<step>` whole or not at all, then drop all but this one and the one before it.

    Later ones, which only damage can have left behind, go too: their steps were taken again.

    Args:
        folder: Of the training.
        step: Optimizer steps done.
        identity: What decides the weights, see `state.identify`; json-able.
        parts: WEIGHTS, OPTIMIZER and maybe AVERAGE; live tensors by name, the same names in every process.
        extra: Json-able rest (log window, seconds spent, loss scaler).

    Raises:
        StorageError: A file cannot be written.
    """
    first = position()[0] == 0
    final = folder / f"checkpoint-{step}"
    with replace_folder(final) if first else contextlib.nullcontext() as own:
        fresh = from_first(own)
        for part, tensors in parts.items():
            with writing(final):
                save_tensors(fresh / part, tensors)
        digests = {name: value for each in from_all(_digests(fresh)) for name, value in each.items()}
        if first:
            state = {"step": step, "identity": dict(identity), "extra": dict(extra), "sha256": digests}
            write_record(fresh / _STATE, state)
    if first:
        steps = checkpoint_steps(folder)
        _drop(folder, set(steps) - set([each for each in steps if each <= step][-KEPT:]))
    wait_for_all()  # nobody goes on, or ends, before it has its name and old ones are gone
    return final


def keep_result(folder: Path, step: int, keep_optimizer: bool) -> None:
    """Drop what a completed training needs no more: other checkpoints, and of this one all that an export leaves unread.

    Called by one process alone.

    Args:
        folder: Of the training.
        step: Its last.
        keep_optimizer: Keep what a longer training would continue from.
    """
    _drop(folder, set(checkpoint_steps(folder)) - {step})
    state = read_state(folder, step)
    parts = {name.split("/")[0] for name in state["sha256"]}
    unneeded = {OPTIMIZER, *([WEIGHTS] if AVERAGE in parts else [])} & parts
    if keep_optimizer or not unneeded:
        return
    digests = {name: value for name, value in state["sha256"].items() if name.split("/")[0] not in unneeded}
    write_record(folder / f"checkpoint-{step}" / _STATE, state | {"sha256": digests})
    for part in unneeded:
        shutil.rmtree(folder / f"checkpoint-{step}" / part)


def drop_leftovers(folder: Path) -> None:
    """Drop what killed processes left: half-written checkpoints, and parts that a checkpoint's state does not name.

    Called by one process alone, which holds the folder's lock. A checkpoint that was about to be replaced gets its name
    back where nothing took its place.
    """
    for path in list(folder.iterdir()):
        if leftover := _LEFTOVER.fullmatch(path.name):
            whole, kind = folder / leftover.group(1), leftover.group(2)
            if kind == "old" and not whole.exists():
                path.rename(whole)
            else:
                shutil.rmtree(path)
    for step in checkpoint_steps(folder):
        with contextlib.suppress(DamagedCheckpoint):
            named = {name.split("/")[0] for name in read_state(folder, step)["sha256"]}
            for part in (WEIGHTS, AVERAGE, OPTIMIZER):
                if part not in named and (folder / f"checkpoint-{step}" / part).exists():
                    shutil.rmtree(folder / f"checkpoint-{step}" / part)


def checkpoint_steps(folder: Path) -> list[int]:
    """Return the steps of the checkpoints in a folder, ascending."""
    if not folder.is_dir():
        return []
    matches = (_NAME.fullmatch(path.name) for path in folder.iterdir())
    return sorted(int(match.group(1)) for match in matches if match)


def read_state(folder: Path, step: int) -> dict[str, Any]:
    """Return the small json of a checkpoint: step, identity, extra, sha256.

    Raises:
        DamagedCheckpoint: It is missing, not what was written, or of an earlier version.
    """
    path = folder / f"checkpoint-{step}" / _STATE
    try:
        state = read_record(path)
        return {name: state[name] for name in ("step", "identity", "extra", "sha256")}
    except (FileNotFoundError, StorageError, KeyError) as error:
        raise DamagedCheckpoint(f"{path} is missing or damaged ({error})") from None


def check_checkpoint(folder: Path, step: int) -> dict[str, Any]:
    """Return the state of a checkpoint whose every file is what was written; the processes share out the files.

    Raises:
        DamagedCheckpoint: In all processes, for a file that is missing or whose digest is another.
    """
    state: dict[str, Any] | str = {}
    if position()[0] == 0:
        try:
            state = read_state(folder, step)
        except DamagedCheckpoint as error:
            state = str(error)
    state = from_first(state)
    if isinstance(state, str):
        raise DamagedCheckpoint(state)
    path = folder / f"checkpoint-{step}"
    process, processes = position()
    own = sorted(state["sha256"])[process::processes]
    damaged = [name for name in own if not (path / name).is_file() or file_sha256(path / name) != state["sha256"][name]]
    faults = [name for each in from_all(damaged) for name in each]
    if faults:
        raise DamagedCheckpoint(f"{path / sorted(faults)[0]} is missing or damaged: it is not what was written")
    return state


def newest_checkpoint(folder: Path) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the state of the newest whole checkpoint, None without one, and what is wrong with those after it."""
    faults: list[str] = []
    for step in reversed(from_first(checkpoint_steps(folder))):
        try:
            return check_checkpoint(folder, step), faults
        except DamagedCheckpoint as error:
            faults.append(str(error))
    return None, faults


def has_optimizer(state: Mapping[str, Any]) -> bool:
    """Return whether a training can go on from a checkpoint, by its state."""
    return any(name.startswith(f"{OPTIMIZER}/") for name in state["sha256"])


def load_part(folder: Path, step: int, part: str, tensors: Tensors) -> None:
    """Read one part of a checkpoint into live tensors, in place."""
    load_tensors(folder / f"checkpoint-{step}" / part, tensors)


def load_result(folder: Path, step: int, tensors: Tensors) -> None:
    """Read the trained weights of a checkpoint into tensors, in place, averaged where there is an average.

    In one process alone; one tensor at a time is held beside them.

    Args:
        folder: Of the training.
        step: Of the checkpoint.
        tensors: By the weights' names, in whatever precision.

    Raises:
        DamagedCheckpoint: It is not what was written.
        ValueError: The tensors are not those of the network that was trained.
    """
    path, state = folder / f"checkpoint-{step}", read_state(folder, step)
    part = AVERAGE if any(name.startswith(f"{AVERAGE}/") for name in state["sha256"]) else WEIGHTS
    for name, expected in state["sha256"].items():
        if name.startswith(f"{part}/") and (not (path / name).is_file() or file_sha256(path / name) != expected):
            raise DamagedCheckpoint(f"{path / name} is missing or damaged: it is not what was written")
    load_tensors(path / part, tensors, alone=True)


def _drop(folder: Path, steps: set[int]) -> None:
    for step in steps:
        shutil.rmtree(folder / f"checkpoint-{step}")


def _digests(folder: Path) -> dict[str, str]:
    """Return the digests of this process's share of the files."""
    process, processes = position()
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.safetensors"))
    return {name: file_sha256(folder / name) for name in names[process::processes]}
