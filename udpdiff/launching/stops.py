"""Whether a job that is stopped and started again gets on: how far it had come at each stop.

A shard's finished clips stand in a hidden file beside its place (`storage.shard_writer`), a training's steps in its folder of
checkpoints (`training.checkpoint`); the next start goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from udpdiff.files import staging_path
from udpdiff.storage.errors import StorageError
from udpdiff.storage.sealed import read_record, write_record

ALLOWED_WITHOUT_PROGRESS = 1


class Stops:
    """The stops of one job, noted beside its first output.

    Args:
        outputs: The shards that it writes, or the folder of its checkpoints.
    """

    def __init__(self, outputs: Sequence[Path]) -> None:
        self.outputs = list(outputs)
        self._record = staging_path(self.outputs[0], "stops")

    def note(self) -> bool:
        """Note a stop. Returns whether the job should be started again: not after two stops in a row at one place."""
        reached, former = self._reached(), self._former()
        # A training whose checkpoints were moved aside begins anew; a shard's bytes may shrink when a start takes it over.
        afresh = reached < former["reached"] and any(path.is_dir() for path in self.outputs)
        idle = 0 if reached > former["reached"] or afresh else former["idle"] + 1
        if idle > ALLOWED_WITHOUT_PROGRESS:
            self.forget()
            return False
        kept = reached if afresh else max(reached, former["reached"])
        write_record(self._record, {"reached": kept, "idle": idle})
        return True

    def forget(self) -> None:
        """Forget the stops of a job that is over."""
        self._record.unlink(missing_ok=True)

    def _reached(self) -> int:
        """Bytes of shards, or steps of checkpoints: what grows while the job gets on."""
        return sum(_steps(path) if path.is_dir() else _size(path) for path in self.outputs)

    def _former(self) -> dict[str, int]:
        try:
            return read_record(self._record)
        except (FileNotFoundError, StorageError):
            return {"reached": 0, "idle": 0}


def _size(shard: Path) -> int:
    return sum(path.stat().st_size for path in (shard, staging_path(shard, "partial")) if path.exists())


def _steps(training: Path) -> int:
    names = [path.name.removeprefix("checkpoint-") for path in training.glob("checkpoint-*")]
    return max((int(name) for name in names if name.isdigit()), default=0)
