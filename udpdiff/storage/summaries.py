"""What the report needs to know of a shard, as a small json file beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from udpdiff.storage.shards import ShardReader


@dataclass(frozen=True)
class Summary:
    """A shard without its arrays.

    Attributes:
        clips: Scores by clip id.
        rejected: {"clip_id", "reason", "scores"} each.
        sources: Distinct source videos of clips, None for other shards.
    """

    schema: str
    split: str
    clips: dict[str, dict[str, float]]
    rejected: list[dict[str, Any]]
    sources: int | None


def write_summary(shard_path: str | Path, json_path: str | Path) -> None:
    """Write the summary of a shard."""
    with ShardReader(shard_path) as shard:
        sources = None
        if shard.schema == "clips":
            sources = len({data["source_id"] for _, data in shard.items(["source_id"])})
        content = {"schema": shard.schema, "clips": shard.scores, "rejected": shard.rejected, "sources": sources}
    Path(json_path).write_text(json.dumps(content))


def read_summary(path: str | Path) -> Summary:
    """Return what `write_summary` wrote."""
    return Summary(split=Path(path).parent.name, **json.loads(Path(path).read_text()))
