"""The mean of a labeller's labels over many shards, joined once from what each shard keeps into one small file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from udpdiff.files import replaced_file
from udpdiff.storage.digests import value_digest
from udpdiff.storage.errors import damaged, reading, writing
from udpdiff.storage.shards import ShardReader


def write_mean(shards: Sequence[str | Path], path: str | Path) -> None:
    """Join the means of shards that keep one; no label is read.

    Raises:
        ValueError: Their schema keeps no mean.
        StorageError: A shard is damaged, or the file cannot be written.
    """
    means = []
    for shard_path in shards:
        with ShardReader(shard_path) as shard:
            if len(shard):
                means.append(shard.mean())
    maps, counts = zip(*means, strict=True) if means else ((), ())
    mean = np.average(maps, axis=0, weights=counts) if means else np.zeros((0, 0))
    with writing(Path(path)), replaced_file(path) as staging, staging.open("wb") as file:
        np.savez(file, mean=mean, frames=np.int64(sum(counts)), sha256=value_digest(mean))


def read_mean(path: str | Path) -> np.ndarray | None:
    """Return the mean over all clips and frames, float64 (H, W), in stored units; None where there was no clip.

    Raises:
        FileNotFoundError: There is none.
        StorageError: It is not what was written.
    """
    path = Path(path)
    with reading(path), np.load(path, allow_pickle=False) as file:
        mean, written = file["mean"], str(file["sha256"])
    if value_digest(mean) != written:
        raise damaged(path, "its mean is not what was written (sha256)")
    return mean if mean.size else None
