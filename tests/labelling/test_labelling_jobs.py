"""The labelling scripts as jobs: killed, they go on where they stopped; a bad clip is listed, many stop the job."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from scripts import estimate_depth, segment_entities
from udpdiff.config import parse
from udpdiff.storage.failures import TooManyFailures
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.throughput import Throughput
from udpdiff.video_io import encode_mp4

ROOT = Path(__file__).parents[2]
LABELS = yaml.safe_load((ROOT / "config.yaml").read_text())["labels"]
SETTINGS = LABELS["depth"]["depth_anything"] | {"device": "cpu", "max_failed_share": 0.4}


@pytest.fixture
def clips(tmp_path):
    """A shard of five clips of random colours."""
    path, rng = tmp_path / "clips.h5", np.random.default_rng(0)
    attrs = {"height": 64, "width": 64, "num_frames": 5, "fps": 8.0}
    with ShardWriter(path, "clips", attrs) as shard:
        for number in range(5):
            video = np.repeat(rng.integers(0, 256, (5, 8, 8, 3), np.uint8), 8, axis=1).repeat(8, axis=2)
            words = {"brief": "A clip.", "detailed": "", "source_id": f"{number}"}
            shard.add(f"clip{number}", {"video_mp4": encode_mp4(video, 8.0)} | words)
    return path


def run(monkeypatch, clips, script=estimate_depth, name="depth", settings=SETTINGS):
    output = clips.with_name(f"{name}.h5")
    told = ["--settings", json.dumps(settings), "--clips", str(clips), f"--{name}", str(output)]
    monkeypatch.setattr(sys, "argv", [name, *told])
    script.main()
    return output


NO_LUCK = ValueError("no\nluck")


def failing(monkeypatch, numbers, error=NO_LUCK):
    """The real estimator, but for clips of the given numbers, counted over all calls; returns the calls."""
    load, calls = estimate_depth.load_estimator, []

    def load_estimator(told):
        estimate = load(told)

        def estimate_or_fail(video):
            calls.append(len(calls))
            if calls[-1] in numbers:
                raise error
            return estimate(video)

        return estimate_or_fail

    monkeypatch.setattr(estimate_depth, "load_estimator", load_estimator)
    return calls


def test_a_clip_that_fails_is_listed_and_the_rest_goes_on(monkeypatch, clips):
    failing(monkeypatch, {1})
    with ShardReader(run(monkeypatch, clips)) as shard:
        assert shard.clip_ids == ["clip0", "clip2", "clip3", "clip4"]
        assert [entry["reason"] for entry in shard.rejected] == ["failed: ValueError: no luck"]


def test_too_many_failures_stop_the_job_with_a_summary(monkeypatch, clips):
    failing(monkeypatch, {0, 2, 3})
    with pytest.raises(TooManyFailures, match=r"max_failed_share: 3 of 5 clips failed.*clip0: ValueError: no luck"):
        run(monkeypatch, clips)
    assert not clips.with_name("depth.h5").exists()


def test_a_killed_job_goes_on_where_it_stopped(monkeypatch, clips):
    calls = failing(monkeypatch, {3}, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, clips)
    assert not clips.with_name("depth.h5").exists()
    with ShardReader(run(monkeypatch, clips)) as shard:
        assert len(shard) == 5
    assert len(calls) == 4 + 2


def test_a_clip_that_cannot_be_decoded_is_listed_in_its_turn(monkeypatch, clips):
    with ShardReader(clips) as shard:
        kept = dict(shard.items())
    with ShardWriter(clips, "clips", shard.attrs) as damaged:
        for clip_id, data in kept.items():
            damaged.add(clip_id, data | ({"video_mp4": b"no video"} if clip_id == "clip2" else {}))
    with ShardReader(run(monkeypatch, clips)) as labels:
        assert labels.clip_ids == ["clip0", "clip1", "clip3", "clip4"]
        (entry,) = labels.rejected
        assert entry["clip_id"] == "clip2" and entry["reason"].startswith("failed: ")


STUCK = """
import sys, time
from scripts import estimate_depth
load = estimate_depth.load_estimator
def load_estimator(told):
    estimate, calls = load(told), []
    def estimate_or_stay(video):
        calls.append(1)
        if len(calls) == 3:
            print("at the third clip", flush=True)
            time.sleep(600)
        return estimate(video)
    return estimate_or_stay
estimate_depth.load_estimator = load_estimator
estimate_depth.main()
"""


def test_a_terminated_job_ends_at_once_with_its_threads_and_goes_on_later(monkeypatch, clips):
    output = clips.with_name("depth.h5")
    told = ["--settings", json.dumps(SETTINGS), "--clips", str(clips), "--depth", str(output)]
    with subprocess.Popen([sys.executable, "-c", STUCK, *told], stdout=subprocess.PIPE, text=True, cwd=ROOT) as job:
        assert "at the third clip" in job.stdout.readline()
        job.send_signal(signal.SIGTERM)
        assert job.wait(timeout=60) == -signal.SIGTERM
    assert not output.exists()
    with ShardReader(run(monkeypatch, clips)) as shard:
        assert shard.clip_ids == [f"clip{number}" for number in range(5)]
        shard.verify()


def test_a_job_says_how_fast_it_went(monkeypatch, clips):
    timing = clips.with_name("benchmarks") / "depth.json"
    arguments = ["--settings", json.dumps(SETTINGS), "--clips", str(clips), "--depth", str(clips.with_name("depth.h5"))]
    monkeypatch.setattr(sys, "argv", ["estimate_depth", *arguments, "--timing", str(timing)])
    estimate_depth.main()
    took = Throughput(**json.loads(timing.read_text()))
    assert took.is_like("depth", SETTINGS, {"num_frames": 5, "height": 64, "width": 64})
    assert took.clips == 5 and took.peak_gpu_gb is None and 0 < took.peak_rss_gb < 100
    assert 0 < took.model_seconds < took.labelling_seconds < took.total_seconds


def test_labels_of_other_clips_are_not_taken_over(monkeypatch, clips):
    calls = failing(monkeypatch, {3}, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, clips)
    with ShardReader(clips) as shard:
        kept = {clip_id: data for clip_id, data in shard.items()}
    with ShardWriter(clips, "clips", {"height": 64, "width": 64, "num_frames": 5, "fps": 8.0}) as shard:
        for clip_id, data in kept.items():
            shard.add(clip_id, data | {"brief": "Another caption."})
    with pytest.warns(UserWarning, match="other attributes"):
        run(monkeypatch, clips)
    assert len(calls) == 4 + 5


POINT_GRID = {"model": "point_grid", "points_per_side": 2, "filtering": "none"}


@pytest.mark.parametrize("entities", [LABELS["entities"]["entityseg"], POINT_GRID], ids=["segmenter", "point_grid"])
def test_entities_are_a_job_of_the_same_kind(monkeypatch, clips, entities):
    """Told what the workflow tells: the parsed configuration, defaults filled in."""
    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    raw["labels"] |= {"device": "cpu", "max_failed_share": 0}
    raw["labels"]["entities"]["entityseg"] = entities
    raw["labels"]["tracker"]["max_objects"], raw["labels"]["cleanup"]["reprompt_below"] = None, 0.9
    labels = parse(raw).labels.model_dump(mode="json")
    kept = ("device", "max_failed_share", "tracker", "cleanup")
    told = {key: labels[key] for key in kept} | labels["entities"]["entityseg"]
    with ShardReader(run(monkeypatch, clips, segment_entities, "entities", told)) as shard:
        assert len(shard) + len(shard.rejected) == 5
