"""The mean of labels over clips and frames, of one shard and of many, in small files that outlive the labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from udpdiff.storage.digests import digest, value_digest
from udpdiff.storage.errors import damaged, reading
from udpdiff.storage.files import written_file
from udpdiff.storage.shards import ShardReader


def write_mean(shard: str | Path, path: str | Path) -> None:
    """Write the mean that a shard keeps; no label is read.

    Raises:
        ValueError: Its schema keeps none.
        StorageError: The shard is damaged, or the file cannot be written.
    """
    with ShardReader(shard) as reader:
        _write(path, *reader.mean())


def join_means(paths: Sequence[str | Path], path: str | Path) -> None:
    """Write the mean over all clips and frames of several shards, by the files of their means.

    Raises:
        StorageError: A file is damaged or cannot be written.
    """
    means = [(mean, frames) for mean, frames in map(_read, map(Path, paths)) if frames]
    if not means:
        return _write(path, np.zeros((0, 0)), 0)
    maps, counts = zip(*means, strict=True)
    return _write(path, np.average(maps, axis=0, weights=counts), sum(counts))


def read_mean(path: str | Path) -> np.ndarray | None:
    """Return a mean, float64 (H, W) in stored units; None where there was no clip.

    Raises:
        FileNotFoundError: There is no such file.
        StorageError: It is not what was written.
    """
    mean, frames = _read(Path(path))
    return mean if frames else None


def _write(path: str | Path, mean: np.ndarray, frames: int) -> None:
    mean = np.asarray(mean, np.float64)
    with written_file(path) as staging, staging.open("wb") as file:
        np.savez(file, mean=mean, frames=np.int64(frames), sha256=_digest(mean, frames))


def _read(path: Path) -> tuple[np.ndarray, int]:
    with reading(path), np.load(path, allow_pickle=False) as file:
        mean, frames, written = file["mean"], int(file["frames"]), str(file["sha256"])
    if _digest(mean, frames) != written:
        raise damaged(path, "its mean is not what was written (sha256)")
    return mean, frames


def _digest(mean: np.ndarray, frames: int) -> str:
    return digest([value_digest(mean), frames])
