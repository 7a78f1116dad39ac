"""The labelling scripts: killed, they go on where they stopped; a bad clip is listed, many stop the job, a bad disk too."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from scripts import estimate_depth, segment_entities
from udpdiff import jobs
from udpdiff.config.parsing import parse
from udpdiff.labelling import entities
from udpdiff.pixel_statistics import IMAGENET_MEAN, IMAGENET_STD
from udpdiff.storage import layout
from udpdiff.storage.coarse_values import on_grid
from udpdiff.storage.errors import StorageError
from udpdiff.storage.failures import TooManyFailures
from udpdiff.storage.means import read_mean
from udpdiff.storage.sealed import read_record
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.storage.summaries import read_summary
from udpdiff.timing import Throughput
from udpdiff.video_io import encode_mp4

ROOT = Path(__file__).parents[2]
LABELS = parse(yaml.safe_load((ROOT / "config.yaml").read_text())).labels
DEPTH = jobs.EstimateDepth(labeller=LABELS.depth["depth_anything"])
EXECUTION = jobs.Execution(device="cpu", max_failed_share=0.4)
SIZE = {"num_frames": 5, "height": 64, "width": 64}
ATTRS = SIZE | {"fps": 8.0, "source": "seg_run"}


def write_clips(path: Path, videos: list[np.ndarray], brief: str = "A clip.") -> Path:
    """A shard of generated clips, which have no source file and no record."""
    with ShardWriter(path, "clips", ATTRS) as shard:
        for number, video in enumerate(videos):
            words = {"brief": brief, "detailed": brief, "source_id": "seg_run"}
            digests = {"source_sha256": "", "record_sha256": ""}
            shard.add(f"clip{number}", {"video_mp4": encode_mp4(video, 8.0)} | words | digests)
    return path


def random_videos(count: int = 5) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (5, 8, 8, 3), np.uint8).repeat(8, axis=1).repeat(8, axis=2) for _ in range(count)]


@pytest.fixture
def clips(tmp_path):
    """A shard of five clips of random colours, where samples lie."""
    (tmp_path / "samples/seg/seg").mkdir(parents=True)
    return write_clips(tmp_path / "samples/seg/seg/0.clips.h5", random_videos())


def arguments(clips, name="depth", job=DEPTH) -> list[str]:
    outputs = {name: clips.with_name(f"{name}.h5"), "summary": clips.with_name(f"{name}.json")}
    options = {"job": job.dump(), "execution": EXECUTION.dump(), "clips": clips} | outputs
    return [word for option, value in options.items() for word in (f"--{option}", str(value))]


def run(monkeypatch, clips, script=estimate_depth, name="depth", job=DEPTH, *more: str):
    monkeypatch.setattr(sys, "argv", [name, *arguments(clips, name, job), *more])
    script.main()
    return clips.with_name(f"{name}.h5")


NO_LUCK = ValueError("no\nluck")


def failing(monkeypatch, numbers, error=NO_LUCK):
    """The real estimator, but for clips of the given numbers, counted over all calls; returns the calls."""
    load, calls = estimate_depth.load_estimator, []

    def load_estimator(labeller, device):
        estimate = load(labeller, device)

        def estimate_or_fail(video):
            calls.append(len(calls))
            if calls[-1] in numbers:
                raise error
            return estimate(video)

        return estimate_or_fail

    monkeypatch.setattr(estimate_depth, "load_estimator", load_estimator)
    return calls


def test_the_nearest_pixel_is_stored_as_the_largest_number(monkeypatch, clips):
    depth = np.linspace(0, 1, 5 * 64 * 64, dtype=np.float32).reshape(5, 64, 64)
    monkeypatch.setattr(estimate_depth, "load_estimator", lambda labeller, device: lambda video: depth)
    mean_file = clips.with_name("depth.mean.npz")
    with ShardReader(run(monkeypatch, clips, estimate_depth, "depth", DEPTH, "--mean", str(mean_file))) as shard:
        stored = shard.read("clip0", "depth")
        assert stored.dtype == np.uint16
        assert (stored[0, 0, 0], stored[-1, -1, -1]) == (0, 65535), "1 is nearest"
        np.testing.assert_allclose(stored / 65535, depth, atol=0.51 / 65535)
        mean, frames = shard.mean()
        np.testing.assert_allclose(mean, stored.mean(axis=0), rtol=1e-12)
        assert frames == 25
        np.testing.assert_array_equal(read_mean(mean_file), mean)
        made = shard.attrs.pop("behind")
        assert set(made["networks"]) == {"estimator"} and made["videos"]["frames"] == 5 and not made["extraction"]
        assert shard.attrs == {"job": json.loads(DEPTH.dump()), "clips": ShardReader(clips).sha256}


def test_depth_in_few_bits_is_the_same_depth_rounded(monkeypatch, clips):
    with ShardReader(run(monkeypatch, clips)) as exact:
        whole = {clip_id: exact.read(clip_id, "depth") for clip_id in exact.clip_ids}
    small = DEPTH.model_copy(update={"bits": 8})
    with ShardReader(run(monkeypatch, clips, job=small)) as rounded:
        assert rounded.attrs["coarse_bits"] == 8
        for clip_id, values in whole.items():
            np.testing.assert_array_equal(rounded.read(clip_id, "depth"), on_grid(values, 8))


def test_a_clip_that_fails_is_listed_and_the_rest_goes_on(monkeypatch, clips):
    failing(monkeypatch, {1})
    with ShardReader(run(monkeypatch, clips)) as shard:
        assert shard.clip_ids == ["clip0", "clip2", "clip3", "clip4"]
        assert [entry["reason"] for entry in shard.rejected] == ["failed: ValueError: no luck"]
    summary = read_summary(clips.with_name("depth.json"))
    assert (list(summary.clips), summary.rejected) == (shard.clip_ids, shard.rejected)


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
def load_estimator(labeller, device):
    estimate, calls = load(labeller, device), []
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
    command = [sys.executable, "-c", STUCK, *arguments(clips)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as job:
        assert "at the third clip" in job.stdout.readline()
        job.send_signal(signal.SIGTERM)
        assert job.wait(timeout=60) == -signal.SIGTERM
    assert not clips.with_name("depth.h5").exists()
    with ShardReader(run(monkeypatch, clips)) as shard:
        assert shard.clip_ids == [f"clip{number}" for number in range(5)]
        shard.verify()


def test_a_job_says_how_fast_it_went(monkeypatch, clips):
    timing = clips.with_name("benchmarks") / "depth.json"
    run(monkeypatch, clips, estimate_depth, "depth", DEPTH, "--timing", str(timing))
    took = Throughput(**read_record(timing))
    assert (took.stage, took.size, took.clips) == ("depth", SIZE, 5)
    assert took.peak_gpu_gb is None and 0 < took.peak_rss_gb < 100
    assert 0 < took.model_seconds < took.labelling_seconds < took.total_seconds


def test_a_disk_that_fills_stops_the_job_and_no_clip_is_blamed(monkeypatch, clips):
    real, rows = layout._write_row, []

    def write_row(dataset, row, value):
        if dataset.name == "/clip_ids" and row == 4 and not rows:
            rows.append(row)  # freed at once
            raise OSError(28, "No space left on device")
        real(dataset, row, value)

    monkeypatch.setattr(layout, "_write_row", write_row)
    with pytest.raises(StorageError, match=r"depth\.h5.*No space left.*the disk at"):
        run(monkeypatch, clips)
    assert not clips.with_name("depth.h5").exists() and not clips.with_name("depth.json").exists()
    calls = failing(monkeypatch, set())
    with ShardReader(run(monkeypatch, clips)) as shard:
        assert len(shard) == 5 and shard.rejected == []
    assert len(calls) == 1, "what was finished is kept"


def test_a_damaged_clip_of_ours_stops_the_job(monkeypatch, clips):
    with h5py.File(clips, "r+") as file:
        damaged = file["data/video_mp4"][2].copy()
        damaged[-1] ^= 255
        file["data/video_mp4"][2] = damaged
    with pytest.raises(StorageError, match=r"0\.clips\.h5: 'video_mp4' of clip 'clip2'.*snakemake"):
        run(monkeypatch, clips)


def test_labels_of_other_clips_are_not_taken_over(monkeypatch, clips):
    calls = failing(monkeypatch, {3}, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, clips)
    write_clips(clips, random_videos(), brief="Another caption.")
    with pytest.warns(UserWarning, match="other attributes"):
        run(monkeypatch, clips)
    assert len(calls) == 4 + 5


POINT_GRID = {"model": "point_grid", "points_per_side": 2, "filtering": "none"}


@pytest.mark.parametrize("section", [{}, POINT_GRID], ids=["segmenter", "point_grid"])
def test_entities_are_a_job_of_the_same_kind(monkeypatch, clips, section):
    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    raw["labels"]["entities"]["entityseg"] = section or raw["labels"]["entities"]["entityseg"]
    raw["labels"]["tracker"]["max_objects"], raw["labels"]["cleanup"]["reprompt_below"] = None, 0.9
    labels = parse(raw).labels
    job = jobs.SegmentEntities(labeller=labels.entities["entityseg"], tracker=labels.tracker, cleanup=labels.cleanup)
    with ShardReader(run(monkeypatch, clips, segment_entities, "entities", job)) as shard:
        assert len(shard) + len(shard.rejected) == 5
        assert read_summary(clips.with_name("entities.json")).clips == shard.scores


class StubTracker:
    """Follows by colour, and notes which frames and images it was given."""

    def __init__(self) -> None:
        self.predictor = type("Predictor", (), {"image_size": 8})
        self.given: list[tuple[list[int], int]] = []

    def track_ids(self, video, prompts, max_objects, images):
        levels = video[:, 0, 0, 0]
        np.testing.assert_allclose(images[:, 0, 0, 0] * IMAGENET_STD[0] + IMAGENET_MEAN[0], levels / 255, atol=1e-6)
        self.given.append(([int(level) for level in levels], len(images)))
        return np.broadcast_to(prompts, video.shape[:3]) * (np.arange(len(video)) < 2)[:, None, None]


def test_later_prompts_are_tracked_through_the_remaining_frames():
    """The tracker loses all after two frames, so that every second frame is segmented anew."""
    video = (40 * np.arange(5, dtype=np.uint8))[:, None, None, None] * np.ones((5, 8, 8, 3), np.uint8)
    segmenter = type("Segmenter", (), {"segment": lambda self, frame: np.ones((8, 8), np.uint16)})()
    tracker = StubTracker()
    labeller = entities.EntityLabeller(segmenter, tracker, reprompt_below=0.5)
    entity_ids, coverage = labeller.label(video)
    assert tracker.given == [([0, 40, 80, 120, 160], 5), ([80, 120, 160], 3), ([160], 1)]
    assert entity_ids[:, 0, 0].tolist() == [1, 1, 2, 2, 3] and coverage.tolist() == [1.0] * 5


def test_bad_labels_are_rejected_with_their_figures():
    ids = np.zeros((2, 4, 4), np.uint16)
    none = entities.check_entities(ids, (ids > 0).mean(axis=(1, 2)), 0.5)
    assert str(none.rejected) == "no entities: none in the first frame" and none.scores["entities"] == 0
    ids[0], ids[1, :1] = 3, 7
    for least, rejected in ((0.7, "low coverage: 0.62 of the pixels, 0.7 needed"), (0.6, "None")):
        labelled = entities.check_entities(ids, (ids > 0).mean(axis=(1, 2)), least)
        assert str(labelled.rejected) == rejected
        assert labelled.scores == {"coverage": 0.625, "min_coverage": 0.25, "entities": 2.0}
        assert bool(labelled.arrays) == (rejected == "None")
