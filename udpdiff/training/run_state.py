"""A run's own folder: checkpoints, `train.jsonl`, `provenance.json`, `fingerprint.json`, `COMPLETE` and the lock.

Snakemake must not know this folder as an output: it deletes outputs before a start and after a failure.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from udpdiff.provenance import provenance
from udpdiff.training.checkpointing import checkpoint_steps
from udpdiff.training.log import truncate_log
from udpdiff.training.settings import TrainingSettings


class RunState:
    """The folder of one training. Only the process that holds its lock may write to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "train.jsonl"
        self.provenance = folder / "provenance.json"
        self._fingerprint = folder / "fingerprint.json"
        self._complete = folder / "COMPLETE"

    def claim(self, identity: dict[str, Any], steps: int) -> str | None:
        """Make the folder one that a training of this identity may continue.

        What another identity left, or a longer training, is moved beside the folder. Returns what was moved and why,
        None if nothing was.
        """
        message = None
        reason = self._mismatch(identity, steps)
        if reason:
            aside = self._move_aside()
            message = f"{self.folder} holds another training ({reason}); moved it to {aside} and starting afresh"
        self.folder.mkdir(parents=True, exist_ok=True)
        _write_json(self._fingerprint, identity)
        if self.completed_step() not in (None, steps):
            self._complete.unlink()
        return message

    def last_step(self) -> int:
        """Return the step of the newest checkpoint, 0 without one."""
        return max(checkpoint_steps(self.folder), default=0)

    def completed_step(self) -> int | None:
        """Return the number of steps of the completed training, None while it is not."""
        return _read_json(self._complete).get("step")

    def complete(self, step: int, seconds: float) -> None:
        """Mark the training as completed and note the time it took."""
        _write_json(self.provenance, _read_json(self.provenance) | {"wall_seconds": round(seconds, 3)})
        _write_json(self._complete, {"step": step})

    def open_session(self, settings: TrainingSettings, identity: dict[str, Any]) -> None:
        """Prepare the log for continuing at the newest checkpoint and record by what and where it is continued."""
        step = self.last_step()
        truncate_log(self.log, step)
        session = provenance() | {"started": datetime.now(UTC).isoformat(timespec="seconds"), "first_step": step}
        former = _read_json(self.provenance).get("sessions", []) if step else []
        record = {**identity, "settings": settings.to_dict(), "seed": settings.seed, **session}
        _write_json(self.provenance, record | {"sessions": [*former, session]})

    def _mismatch(self, identity: dict[str, Any], steps: int) -> str | None:
        if not checkpoint_steps(self.folder) and not self._complete.exists():
            return None
        former = _read_json(self._fingerprint)
        if former.get("fingerprint") != identity["fingerprint"]:
            return "other " + ", ".join(_differences(former, identity))
        if self.last_step() > steps:
            return f"of {self.last_step()} steps, more than the {steps} asked for"
        return None

    def _move_aside(self) -> Path:
        number = 1
        while (aside := self.folder.with_name(f"{self.folder.name}.superseded-{number}")).exists():
            number += 1
        aside.mkdir()
        for path in self.folder.iterdir():
            # The lock stays: it is held, and another process may be waiting for this very file.
            if path.name != "lock":
                path.rename(aside / path.name)
        return aside


def _differences(former: dict[str, Any], present: dict[str, Any]) -> list[str]:
    """Name what differs between two identities: settings by name, then data and base."""
    old, new = former.get("settings", {}), present["settings"]
    names = [name for name in new if old.get(name) != new[name]] + [name for name in old if name not in new]
    if former.get("data_sha256") != present["data_sha256"]:
        names.append("data")
    if former.get("base_sha256") != present["base_sha256"]:
        names.append("base checkpoint")
    return names


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def _write_json(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(json.dumps(content, indent=2), encoding="utf-8")
    os.replace(temporary, path)
