"""A shard's small figures as JSON beside it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from udpdiff.storage.shards import ShardReader


@dataclass(frozen=True)
class Summary:
    """What is known of a shard without opening it; folder and split by its path."""

    schema: str
    folder: str
    split: str
    attrs: dict[str, Any]
    clips: dict[str, dict[str, float]]
    rejected: list[dict[str, Any]]
    sources: int


def write_summary(shard_path: str | Path, json_path: str | Path) -> None:
    """Write the summary of a complete shard."""
    with ShardReader(shard_path) as shard:
        named = [data["source_id"] for _, data in shard.items(["source_id"])] if shard.schema == "clips" else []
        content = {"schema": shard.schema, "attrs": {}, "clips": shard.scores, "rejected": shard.rejected}
    Path(json_path).write_text(json.dumps(content | {"sources": len(set(named))}))


def read_summary(path: str | Path) -> Summary:
    """Return what `write_summary` wrote."""
    parts = Path(path).parent.parts
    start = len(parts) - parts[::-1].index("results")
    split = parts.index("samples", start) if "samples" in parts[start:] else len(parts) - 1
    content = json.loads(Path(path).read_text())
    return Summary(folder="/".join(parts[start:split]), split="/".join(parts[split:]), **content)
