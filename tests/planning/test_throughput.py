"""The benchmark of the labellers: their own commands, on a few clips."""

from __future__ import annotations

import json

import numpy as np
import pytest

from udpdiff.jobs import Execution, MeasureThroughput
from udpdiff.planning import throughput
from udpdiff.planning.throughput import describe, first_clips, measure_labellers
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.timing import Throughput, write_throughput
from udpdiff.video_io import encode_mp4

SIZE = {"height": 32, "width": 32, "num_frames": 5}
ANYTHING = {"labeller": {"model": "depth_anything", "checkpoint": "mini:depth_anything"}}


@pytest.fixture
def clips(tmp_path):
    """A shard of three clips."""
    words = dict.fromkeys(("brief", "detailed", "source_id", "source_sha256", "record_sha256"), "x")
    with ShardWriter(tmp_path / "clips.h5", "clips", SIZE | {"fps": 8, "source": "scenes"}) as shard:
        for index in range(3):
            video = np.full((5, 32, 32, 3), 40 * index, np.uint8)
            shard.add(f"clip {index}", {"video_mp4": encode_mp4(video, 8)} | words)
    return tmp_path / "clips.h5"


def test_each_labeller_runs_its_own_command_on_the_first_clips(clips, monkeypatch):
    job = MeasureThroughput.model_validate({"labellers": {"depth/one": ANYTHING, "depth/two": ANYTHING}})
    execution, calls = Execution(device="cpu"), []

    def run(command, check):
        given = dict(zip(command[3::2], command[4::2], strict=True))
        with ShardReader(given["--clips"]) as few:
            calls.append((command[2], sorted(given), few.clip_ids))
        assert given["--job"] == job.labellers["depth/one"].dump() and given["--execution"] == execution.dump()
        content = json.loads(given["--job"])
        write_throughput(given["--timing"], Throughput("depth", content, SIZE, 2, 1.0, 2.0, 4.0, "a CPU", None, 1.5))
        assert check

    monkeypatch.setattr(throughput.subprocess, "run", run)
    found = dict(measure_labellers(job, execution, clips, 2))
    assert list(found) == ["depth/one", "depth/two"]
    options = ["--clips", "--depth", "--execution", "--job", "--summary", "--timing"]
    assert calls == [("scripts.estimate_depth", options, ["clip 0", "clip 1"])] * 2
    line = describe("depth/one", found["depth/one"])
    assert line == "depth/one: 2 clips, 1,800 an hour, 25% of the time in the model, 1.50 GB, a CPU"


def test_a_shard_of_fewer_clips_gives_all(clips, tmp_path):
    with ShardReader(first_clips(clips, 9, tmp_path / "few.h5")) as few, ShardReader(clips) as all_clips:
        assert few.clip_ids == all_clips.clip_ids and few.attrs == all_clips.attrs
