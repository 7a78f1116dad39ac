"""The mean of all training labels, joined from the means that shards keep."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.storage.errors import StorageError
from udpdiff.storage.means import join_means, read_mean, write_mean
from udpdiff.storage.shards import ShardReader, ShardWriter


def _shard(path, clips: int, seed: int, schema: str = "depth"):
    rng = np.random.default_rng(seed)
    with ShardWriter(path, schema) as writer:
        for number in range(clips):
            values = rng.integers(0, 65536, (3, 4, 6)).astype(np.uint16)
            writer.add(f"{seed}-{number}", {"depth" if schema == "depth" else "entity_ids": values})
    return path


def test_shards_count_by_their_frames_and_empty_ones_not_at_all(tmp_path):
    shards = [_shard(tmp_path / f"{seed}.h5", clips, seed) for seed, clips in enumerate((3, 0, 1))]
    means = [path.with_suffix(".npz") for path in shards]
    for shard_path, path in zip(shards, means, strict=True):
        write_mean(shard_path, path)
    join_means(means, tmp_path / "mean.npz")
    frames = []
    for path in shards:
        with ShardReader(path) as shard:
            frames += [values["depth"] for _, values in shard.items()]
    np.testing.assert_allclose(read_mean(tmp_path / "mean.npz"), np.concatenate(frames).mean(0), rtol=1e-12)


def test_no_clip_at_all_is_no_mean(tmp_path):
    write_mean(_shard(tmp_path / "0.h5", 0, 0), tmp_path / "0.npz")
    join_means([tmp_path / "0.npz"], tmp_path / "mean.npz")
    assert read_mean(tmp_path / "0.npz") is None and read_mean(tmp_path / "mean.npz") is None


def test_a_schema_without_a_mean_and_a_damaged_file_are_told(tmp_path):
    with pytest.raises(ValueError, match="keeps no mean"):
        write_mean(_shard(tmp_path / "ids.h5", 1, 0, "entities"), tmp_path / "mean.npz")
    assert not (tmp_path / "mean.npz").exists()
    write_mean(_shard(tmp_path / "0.h5", 2, 0), tmp_path / "mean.npz")
    whole = (tmp_path / "mean.npz").read_bytes()
    (tmp_path / "mean.npz").write_bytes(whole[:200])
    with pytest.raises(StorageError, match="Remove the file"):
        read_mean(tmp_path / "mean.npz")
