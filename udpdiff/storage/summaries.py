"""A shard's small figures as JSON beside it: scores of its clips, rejected ones with reasons; a report needs no more."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from udpdiff.storage.errors import RESULTS, reading
from udpdiff.storage.sealed import read_record, write_record
from udpdiff.storage.shards import ShardReader

_SMALL_ATTRS = ("height", "width", "num_frames", "fps", "source")
_SAMPLES = "samples"


@dataclass(frozen=True)
class Summary:
    """What is known of a shard without opening it.

    Attributes:
        schema: Of the shard.
        folder: Of the results, by the path: `clips`, `entities/entityseg`, `depth/depthcrafter`, ...
        split: By the path: `train`, `evaluation` or `samples/RUN/TASK`.
        attrs: Size, length, rate and source of clips; empty for others.
        clips: Clip id -> figure -> value.
        rejected: {"clip_id", "reason", "scores"} of each clip that was left out.
        sources: Number of different source videos; 0 where no clips are stored.
    """

    schema: str
    folder: str
    split: str
    attrs: dict[str, Any]
    clips: dict[str, dict[str, float]]
    rejected: list[dict[str, Any]]
    sources: int


def write_summary(shard_path: str | Path, json_path: str | Path) -> None:
    """Write the summary of a complete shard, whole or not at all.

    Raises:
        StorageError: The shard is damaged, or the summary cannot be written.
    """
    with ShardReader(shard_path) as shard:
        named = [data["source_id"] for _, data in shard.items(["source_id"])] if shard.schema == "clips" else []
        content = {
            "schema": shard.schema,
            "attrs": {name: shard.attrs[name] for name in _SMALL_ATTRS if name in shard.attrs},
            "clips": shard.scores,
            "rejected": shard.rejected,
            "sources": len(set(named)),
        }
    write_record(json_path, content)


def read_summary(path: str | Path) -> Summary:
    """Return what `write_summary` wrote.

    Raises:
        FileNotFoundError: There is none.
        StorageError: It is no summary, or not what was written.
    """
    path = Path(path)
    parts = path.parent.parts
    start = len(parts) - parts[::-1].index(RESULTS) if RESULTS in parts else 0
    split = parts.index(_SAMPLES, start) if _SAMPLES in parts[start:] else len(parts) - 1
    content = read_record(path)
    with reading(path):
        return Summary(folder="/".join(parts[start:split]), split="/".join(parts[split:]), **content)
