"""Summaries say what a shard says; means are kept while labels are written, also over a restart."""

from __future__ import annotations

import numpy as np
import pytest
from test_shards import ATTRS, make_clip

from udpdiff.storage.errors import StorageError
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.storage.summaries import Summary, read_summary, write_summary


def test_a_summary_of_clips(tmp_path):
    with ShardWriter(tmp_path / "0.h5", "clips", ATTRS["clips"] | {"job": {"seed": 1}}) as writer:
        for number, source in enumerate("aab"):
            writer.add(f"c{number}", make_clip("clips", number) | {"source_id": source}, {"motion": number / 2})
        writer.reject("bad", "too dark", {"motion": 0.25})
    path = tmp_path / "results/clips/train/0.json"
    write_summary(tmp_path / "0.h5", path)
    assert read_summary(path) == Summary(
        schema="clips",
        folder="clips",
        split="train",
        attrs=ATTRS["clips"],
        clips={"c0": {"motion": 0.0}, "c1": {"motion": 0.5}, "c2": {"motion": 1.0}},
        rejected=[{"clip_id": "bad", "reason": "too dark", "scores": {"motion": 0.25}}],
        sources=2,
    )


@pytest.mark.parametrize(
    ("path", "folder", "split"),
    [
        ("results/entities/entityseg/evaluation/3.json", "entities/entityseg", "evaluation"),
        (
            "/a/samples/results/depth/depth_anything/samples/seg/depth/0.json",
            "depth/depth_anything",
            "samples/seg/depth",
        ),
    ],
)
def test_folder_and_split_come_from_the_path(tmp_path, path, folder, split):
    with ShardWriter(tmp_path / "0.h5", "depth") as writer:
        writer.add("a", make_clip("depth", 0))
    path = tmp_path / path.lstrip("/")
    write_summary(tmp_path / "0.h5", path)
    summary = read_summary(path)
    assert (summary.folder, summary.split, summary.sources, summary.attrs) == (folder, split, 0, {})


def test_a_damaged_summary_is_refused(tmp_path):
    (tmp_path / "0.json").write_text('{"schema": "clips"')
    with pytest.raises(StorageError, match=r"0\.json"):
        read_summary(tmp_path / "0.json")


def test_the_mean_is_that_of_all_frames_after_a_restart_too(tmp_path):
    clips = [make_clip("depth", seed)["depth"] for seed in range(4)]
    with pytest.raises(KeyboardInterrupt), ShardWriter(tmp_path / "0.h5", "depth", resume=True) as writer:
        writer.add("0", {"depth": clips[0]})
        writer.add("1", {"depth": clips[1]})
        raise KeyboardInterrupt
    with ShardWriter(tmp_path / "0.h5", "depth", resume=True) as writer:
        writer.reject("bad", "failed")
        for number in (2, 3):
            writer.add(str(number), {"depth": clips[number]})
    mean, frames = ShardReader(tmp_path / "0.h5").mean()
    assert frames == 4 * 5 and mean.dtype == np.float64
    np.testing.assert_allclose(mean, np.concatenate(clips).astype(np.float64).mean(axis=0), rtol=1e-14)


def test_a_mean_of_nothing_adds_nothing(tmp_path):
    with ShardWriter(tmp_path / "0.h5", "depth") as writer:
        writer.reject("bad", "failed")
    mean, frames = ShardReader(tmp_path / "0.h5").mean()
    assert frames == 0 and (np.ones((2, 2)) + mean * frames == 1).all()
    with ShardWriter(tmp_path / "1.h5", "entities") as writer:
        writer.add("a", make_clip("entities", 0))
    with pytest.raises(ValueError, match="keeps no mean"):
        ShardReader(tmp_path / "1.h5").mean()
