"""A run's own folder: its checkpoints, `train.jsonl`, `provenance.json` and a lock; whose it is, and whether it gets on.

Snakemake must not know this folder as an output: it deletes outputs before a start and after a failure.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from udpdiff.files import model_digest
from udpdiff.interruption import Interrupted
from udpdiff.locking import Held, Lock, NoLocks
from udpdiff.provenance import provenance
from udpdiff.storage.dataset import LatentSource
from udpdiff.storage.digests import digest
from udpdiff.storage.errors import StorageError, writing
from udpdiff.storage.sealed import read_record, write_record
from udpdiff.training.checkpoint import DamagedCheckpoint, checkpoint_steps, drop_leftovers, read_state
from udpdiff.training.log import truncate_log
from udpdiff.training.settings import TrainingSettings


class FolderLocked(RuntimeError):
    """Another process trains in this folder."""


class NoProgress(RuntimeError):
    """The time that a training is given again and again is too short for it to get on."""


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold `folder/lock` while the body runs; the kernel releases it however the process ends.

    Raises:
        FolderLocked: Another process holds it.
        StorageError: The disk is full.
    """
    lock = Lock(folder / "lock")
    try:
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock.take()
    except Held as error:
        raise FolderLocked(
            f"{folder} is in use: {error}. Wait for it to end, or stop it with SIGTERM: it then saves a checkpoint."
        ) from None
    except NoLocks as error:
        print(f"{error}; see to it that only one Snakemake works here.", file=sys.stderr)
    try:
        yield
    finally:
        lock.release()


def identify(
    settings: TrainingSettings, source: LatentSource, evaluation: LatentSource | None, base_folder: str | Path
) -> dict[str, Any]:
    """Return what decides the weights, which clips are held back among it, and a `fingerprint` of it all; json-able.

    A training continues checkpoints of the same fingerprint alone.
    """
    parts = {
        "settings": settings.deciding(),
        "data_sha256": source.digest(),
        "evaluation_sha256": evaluation.digest() if evaluation else None,
        "base_sha256": model_digest(base_folder, ("transformer", "scheduler")),
    }
    return parts | {"fingerprint": digest(parts)}


class RunState:
    """The folder of one training. Only the process that holds its lock may write to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "train.jsonl"
        self.provenance = folder / "provenance.json"

    def claim(self, identity: dict[str, Any], steps: int) -> str | None:
        """Make the folder one that a training of this identity may continue.

        What another identity left, or a longer training, is moved beside the folder, whole: whoever changed a setting by
        mistake can go back to it, so only a person removes it. Returns what was moved and why,
        None if nothing was. What killed processes left half-written is dropped.
        """
        drop_leftovers(self.folder)
        reason = self._mismatch(identity, steps)
        if not reason:
            return None
        aside = self._move_aside()
        size = sum(path.stat().st_size for path in aside.rglob("*") if path.is_file())
        return (
            f"{self.folder} holds another training ({reason}); moved it to {aside} and starting afresh. It takes"
            f" {size / 1e9:.1f} GB and stays until you remove it; moved back, it goes on under its former settings"
        )

    def open_session(
        self, settings: TrainingSettings, identity: dict[str, Any], step: int, deadline: float | None = None
    ) -> None:
        """Prepare the log for continuing after `step` steps and record by what and where it is continued.

        Args:
            settings: Of the run.
            identity: Of the training.
            step: Optimizer steps done.
            deadline: When this session must stop, Unix seconds; None without a limit.

        Raises:
            NoProgress: Two sessions with a limit ended without a checkpoint beyond this step; the next start tries again.
        """
        record = self._record()
        former = record.get("sessions", []) if record.get("fingerprint") == identity["fingerprint"] else []
        session = provenance() | {"started": datetime.now(UTC).isoformat(timespec="seconds"), "first_step": step}
        session |= {"deadline": deadline}
        # Of a session that was killed nobody wrote down the end; it was over when the next one began.
        ends = [*(datetime.fromisoformat(each["started"]).timestamp() for each in former[-1:]), time.time()]
        if len(former) >= 2 and all(_was_in_vain(each, step, end) for each, end in zip(former[-2:], ends, strict=True)):
            write_record(self.provenance, record | {"sessions": [*former, session | {"deadline": None}]})
            raise NoProgress(
                f"{self.folder}: got no further than step {step} in two time slices, expected a checkpoint in each. Give the"
                " job more time, or set training.checkpoint_every_steps to fewer steps than a slice holds."
            )
        truncate_log(self.log, step)
        record = {**identity, "settings": asdict(settings), "seed": settings.seed, **session}
        write_record(self.provenance, record | {"sessions": [*former, session]})

    @contextmanager
    def noted_end(self) -> Iterator[None]:
        """Record when this session ended, and whether because it was asked to, where the body raises."""
        try:
            yield
        except BaseException as error:
            with suppress(StorageError):  # what the body raised says more
                record = self._record()
                *former, session = record.get("sessions") or [{}]
                session |= {"ended": time.time(), "interrupted": isinstance(error, Interrupted)}
                write_record(self.provenance, record | {"sessions": [*former, session]})
            raise

    def note_seconds(self, seconds: float) -> None:
        """Record the time that all sessions together have trained."""
        write_record(self.provenance, self._record() | {"wall_seconds": round(seconds, 3)})

    def _record(self) -> dict[str, Any]:
        """Return provenance.json; nothing where it is missing or damaged, for no weight depends on it."""
        try:
            return read_record(self.provenance)
        except (FileNotFoundError, StorageError):
            return {}

    def _mismatch(self, identity: dict[str, Any], steps: int) -> str | None:
        steps_saved = checkpoint_steps(self.folder)
        for step in reversed(steps_saved):
            try:
                former = read_state(self.folder, step)["identity"]
            except DamagedCheckpoint:
                continue
            if former["fingerprint"] != identity["fingerprint"]:
                return "other " + ", ".join(_differences(former, identity))
            return f"of {step} steps, more than the {steps} asked for" if step > steps else None
        return "none of its checkpoints can be read" if steps_saved else None

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


def _was_in_vain(session: dict[str, Any], step: int, end: float) -> bool:
    """Return whether a session began at this step and ran out of time; one that failed, or that a person ended, says nothing.

    Args:
        session: From the record.
        step: Where the next one begins.
        end: When it was over at the latest, Unix seconds.
    """
    deadline = session.get("deadline")
    out_of_time = session.get("interrupted") or (deadline is not None and session.get("ended", end) >= deadline)
    return session.get("first_step") == step and bool(out_of_time)


def _differences(former: dict[str, Any], present: dict[str, Any]) -> list[str]:
    """Name what differs between two identities: settings by name, then data and base."""
    old, new = former["settings"], present["settings"]
    names = [name for name in new if name not in old or old[name] != new[name]]
    names += [name for name in old if name not in new]
    parts = {"data_sha256": "data", "evaluation_sha256": "evaluation data", "base_sha256": "base checkpoint"}
    return names + [name for key, name in parts.items() if former[key] != present[key]]
