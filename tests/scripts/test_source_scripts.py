"""The scripts that make clips: scenes with their truth, and a folder of videos, with digests of what they come from."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from scripts import cut_videos, render_scenes
from udpdiff import jobs
from udpdiff.config.data import ClipSize, Filters
from udpdiff.sources.scenes import SceneSettings, render_clip
from udpdiff.sources.videos import printable, read_clip
from udpdiff.storage.digests import digest
from udpdiff.storage.shards import ShardReader
from udpdiff.storage.summaries import read_summary
from udpdiff.video_io import decode_mp4, encode_mp4, write_mp4

SIZE = ClipSize(height=64, width=64, num_frames=5, fps=8)
LOOSE = Filters(
    min_sharpness=0,
    max_clipped_share=1,
    max_near_black_share=1,
    max_letterbox_share=1,
    min_motion=0,
    max_cut_score=1,
)


def run(monkeypatch, script, job: jobs.Job, **paths: Path) -> None:
    words = [word for name, path in paths.items() for word in (f"--{name}", str(path))]
    monkeypatch.setattr(sys, "argv", [script.__name__, "--job", job.dump(), *words])
    script.main()


def scenes(count: int, filters: Filters = LOOSE) -> jobs.RenderScenes:
    numbers = {"first_scene": 5_000_003, "count": count, "min_solids": 2, "max_solids": 3, "solid_size": 1.4}
    return jobs.RenderScenes(**numbers, size=SIZE, filters=filters)


def test_scenes_and_their_truth(monkeypatch, tmp_path):
    clips, truth = tmp_path / "clips/train/0.h5", tmp_path / "truth/train/0.h5"
    run(monkeypatch, render_scenes, scenes(2), clips=clips, truth=truth, summary=clips.with_suffix(".json"))
    expected = render_clip(SceneSettings(64, 64, 5, 8.0, 2, 3, 1.4), 5_000_004)
    with ShardReader(clips) as shard, ShardReader(truth) as exact:
        assert shard.clip_ids == exact.clip_ids == ["scene-5000003", "scene-5000004"]
        stored = dict(shard.items())["scene-5000004"]
        assert stored["video_mp4"] == encode_mp4(expected.video, 8)
        assert (stored["brief"], stored["detailed"]) == (expected.brief, expected.detailed)
        assert (stored["source_id"], stored["source_sha256"], stored["record_sha256"]) == ("scene-5000004", "", "")
        for name in ("entity_ids", "z", "flow", "normals", "camera"):
            np.testing.assert_array_equal(exact.read("scene-5000004", name), getattr(expected, name))
        assert shard.attrs == SIZE.model_dump() | {"source": "scenes", "job": json.loads(scenes(2).dump())}
    summary = read_summary(clips.with_suffix(".json"))
    assert (summary.sources, summary.attrs["source"], list(summary.clips)) == (2, "scenes", shard.clip_ids)


def test_refused_scenes_are_listed_in_both_shards(monkeypatch, tmp_path):
    clips, truth = tmp_path / "0.h5", tmp_path / "truth.h5"
    strict = scenes(2, LOOSE.model_copy(update={"min_motion": 99}))
    run(monkeypatch, render_scenes, strict, clips=clips, truth=truth, summary=tmp_path / "0.json")
    listed = read_summary(tmp_path / "0.json").rejected
    assert [entry["clip_id"] for entry in listed] == ["scene-5000003", "scene-5000004"]
    assert all(entry["reason"].startswith("too still: motion") and entry["scores"]["motion"] > 0 for entry in listed)
    assert [entry["reason"] for entry in ShardReader(truth).rejected] == [entry["reason"] for entry in listed]


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two clips of one film, one of another with a name that is no text, a broken file and one without a caption."""
    folder = tmp_path / "films"
    for number, name in enumerate(["film.0.mp4", "film.1.mp4", os.fsdecode(b"caf\xe9.mp4"), "mute.mp4"]):
        colours = np.random.default_rng(number).integers(0, 256, (9, 8, 8, 3), np.uint8)
        write_mp4(folder / name, colours.repeat(8, axis=1).repeat(8, axis=2), 8)
    (folder / "broken.mp4").write_bytes(b"no video")
    return folder


def cutting(*names: str, captioned: bool = False) -> jobs.CutVideos:
    return jobs.CutVideos(
        captioned=captioned,
        clip_ids=tuple(map(printable, names)),
        content="",
        size=SIZE,
        filters=LOOSE,
    )


def test_videos_become_clips_or_are_listed(monkeypatch, tmp_path, folder):
    captions, odd = tmp_path / "captions.csv", os.fsdecode(b"caf\xe9.mp4")
    with captions.open("w", newline="") as file:
        csv.writer(file).writerows(
            [["clip", "caption"], ["film.0", " Of  a film. "], ["film.1", "More."], ["broken", "?"]]
        )
    job = cutting("film.0.mp4", odd, "mute.mp4", "broken.mp4", "gone.mp4", captioned=True)
    path = tmp_path / "results/clips/train/0.h5"
    places = {"folder": folder, "captions": captions}
    run(monkeypatch, cut_videos, job, **places, clips=path, summary=path.with_suffix(".json"))
    with ShardReader(path) as shard:
        assert shard.clip_ids == ["film.0.mp4"]
        stored = dict(shard.items())["film.0.mp4"]
    assert (stored["brief"], stored["detailed"], stored["source_id"]) == ("Of a film.", "", "film")
    assert stored["source_sha256"] == hashlib.sha256((folder / "film.0.mp4").read_bytes()).hexdigest()
    assert stored["record_sha256"] == digest(["film.0.mp4", "Of a film."])
    middle = read_clip(folder / "film.0.mp4", **SIZE.model_dump())
    np.testing.assert_array_equal(decode_mp4(stored["video_mp4"]), decode_mp4(encode_mp4(middle, 8)))
    summary = read_summary(path.with_suffix(".json"))
    assert (summary.folder, summary.split, summary.sources) == ("clips", "train", 1)
    reasons = {entry["clip_id"]: entry["reason"] for entry in summary.rejected}
    assert reasons.keys() == {printable(odd), "mute.mp4", "broken.mp4", "gone.mp4"}
    assert reasons["broken.mp4"].startswith("unreadable")
    assert all(reason == "no caption" for name, reason in reasons.items() if name != "broken.mp4")


def test_videos_without_a_csv_wait_for_a_captioner(monkeypatch, tmp_path, folder):
    odd = os.fsdecode(b"caf\xe9.mp4")
    job = cutting("film.1.mp4", odd)
    run(monkeypatch, cut_videos, job, folder=folder, clips=tmp_path / "0.h5", summary=tmp_path / "0.json")
    with ShardReader(tmp_path / "0.h5") as shard:
        assert shard.clip_ids == ["film.1.mp4", r"caf\udce9.mp4"]
        for _, data in shard.items(["brief", "record_sha256"]):
            assert data == {"brief": "", "record_sha256": ""}
