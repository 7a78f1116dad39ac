"""Whether a job that is stopped and started again gets on: how far its unfinished files had grown at each stop.

A shard's finished clips stand in a hidden file beside its place (`storage.shard_writer`), which the next start takes over.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from udpdiff.files import staging_path

ALLOWED_WITHOUT_PROGRESS = 1


class Slices:
    """The stops of one job, noted beside its first output.

    Args:
        outputs: The shards that it writes.
    """

    def __init__(self, outputs: Sequence[Path]) -> None:
        self.outputs = list(outputs)
        self._note = staging_path(self.outputs[0], "slices")

    def stopped(self) -> bool:
        """Note a stop. Returns whether the job should be started again: not after two stops in a row at one size."""
        size, former = self._size(), self._former()
        idle = 0 if size > former["bytes"] else former["idle"] + 1
        if idle > ALLOWED_WITHOUT_PROGRESS:
            self.ended()
            return False
        self._note.parent.mkdir(parents=True, exist_ok=True)
        self._note.write_text(json.dumps({"bytes": max(size, former["bytes"]), "idle": idle}), encoding="utf-8")
        return True

    def ended(self) -> None:
        """Forget the stops of a job that is over."""
        self._note.unlink(missing_ok=True)

    def _size(self) -> int:
        partial = [staging_path(path, "partial") for path in self.outputs]
        return sum(path.stat().st_size for path in (*partial, *self.outputs) if path.exists())

    def _former(self) -> dict[str, int]:
        try:
            return json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {"bytes": 0, "idle": 0}
