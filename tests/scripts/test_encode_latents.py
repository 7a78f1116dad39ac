"""Encoding as a job: killed, it goes on to the same content; a bad clip is listed, many stop the job."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from scripts import encode_latents
from udpdiff import jobs
from udpdiff.model import encoding
from udpdiff.representations.spectral import decode_depth, encode_depth
from udpdiff.storage.failures import TooManyFailures
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.timing import read_throughput
from udpdiff.video_io import encode_mp4

EXECUTION = jobs.Execution(device="cpu", max_failed_share=0)
COMMON = {"base": "mini:cogvideox", "batch_clips": 2, "dtype": "float32"}
SEG = {"task": "seg", "colormap": "pixelplanes", "options": {"min_color_distance": 30}, "seed": 7}
JOBS = {
    "video": jobs.EncodeLatents(**COMMON),
    "seg-pixelplanes-entityseg": jobs.EncodeLatents(**COMMON, **SEG, encodings=2),
    "seg-location-entityseg": jobs.EncodeLatents(
        **COMMON, task="seg", colormap="location", options={"location_grid": 5}
    ),
    "depth-spectral-depthcrafter": jobs.EncodeLatents(**COMMON, task="depth", colormap="spectral"),
}


def write_clips(path: Path, broken: tuple[int, ...] = ()) -> Path:
    """Five clips of random colours, of which some are no video, and one that was rejected."""
    rng = np.random.default_rng(0)
    size = {"height": 64, "width": 64, "num_frames": 5, "fps": 8.0, "source": "scenes"}
    with ShardWriter(path, "clips", size) as shard:
        for number in range(5):
            video = rng.integers(0, 256, (5, 8, 8, 3), np.uint8).repeat(8, axis=1).repeat(8, axis=2)
            data = b"no video" if number in broken else encode_mp4(video, 8.0)
            texts = dict.fromkeys(("brief", "detailed", "source_id", "source_sha256", "record_sha256"), "")
            shard.add(f"clip{number}", {"video_mp4": data} | texts)
        shard.reject("clip5", "too dark: very")
    return path


def write_labels(path: Path, kind: str) -> Path:
    """Five clips of entity ids, or of depth in which only a part of the range occurs."""
    rng = np.random.default_rng(0)
    dataset, high = ("entity_ids", 4) if kind == "entities" else ("depth", 40000)
    with ShardWriter(path, kind, {}) as shard:
        for number in range(5):
            labels = rng.integers(1, high, (5, 8, 8)).repeat(8, axis=1).repeat(8, axis=2)
            shard.add(f"clip{number}", {dataset: labels.astype(np.uint16)})
    return path


def write_source(path: Path, stream: str) -> Path:
    kind = {"seg": "entities", "depth": "depth"}.get(stream.partition("-")[0])
    return write_labels(path, kind) if kind else write_clips(path)


def encode(monkeypatch, source: Path, name: str, stream: str = "video", *more: str) -> ShardReader:
    output = source.with_name(f"{name}.h5")
    words = ["--job", JOBS[stream].dump(), "--execution", EXECUTION.dump(), "--stream", stream]
    words += ["--source", str(source), "--latents", str(output), *more]
    monkeypatch.setattr(sys, "argv", ["encode_latents", *words])
    encode_latents.main()
    return ShardReader(output)


def killed_at_call(number: int, monkeypatch) -> list[int]:
    """Let the encoder be killed at that call; the videos of each call are counted in the list."""
    calls, encode_videos = [], encoding.encode_videos

    def encode_or_die(vae, videos):
        calls.append(len(videos))
        if len(calls) == number:
            raise KeyboardInterrupt
        return encode_videos(vae, videos)

    monkeypatch.setattr(encoding, "encode_videos", encode_or_die)
    return calls


def videos_of(monkeypatch, tmp_path, stream: str) -> dict[str, np.ndarray]:
    """What the VAE is given of each clip, uint8 (K, T, H, W, 3), as a job with this stream gives it."""
    given, job = [], JOBS[stream]
    source = write_source(tmp_path / "source.h5", stream)
    with monkeypatch.context() as patch:
        patch.setattr(encoding, "encode_videos", lambda _, videos: given.append(videos) or np.zeros((len(videos), 1)))
        patch.setattr(encoding.ShardWriter, "add", lambda *_: None)
        encode(patch, source, "latents", stream)
    whole = np.concatenate(given)
    return {f"clip{number}": part for number, part in enumerate(np.split(whole, len(whole) // job.encodings))}


def test_a_clips_colours_are_drawn_from_the_seed_and_its_id_one_encoding_after_the_other(monkeypatch, tmp_path):
    stream = "seg-pixelplanes-entityseg"
    maps = videos_of(monkeypatch, tmp_path, stream)
    assert {part.shape for part in maps.values()} == {(2, 5, 64, 64, 3)} and len(maps) == 5
    source = ShardReader(tmp_path / "source.h5")
    palettes = set()
    for clip_id, (first, second) in maps.items():
        ids = source.read(clip_id, "entity_ids")
        for colormap in (first, second):
            palettes.add(tuple(tuple(colormap[ids == entity][0]) for entity in (1, 2, 3)))
    assert len(palettes) == 10, "clips or encodings share their colours"
    assert all(np.array_equal(part, maps[name]) for name, part in videos_of(monkeypatch, tmp_path, stream).items())
    monkeypatch.setitem(JOBS, stream, JOBS[stream].model_copy(update={"seed": 8}))
    assert not np.array_equal(videos_of(monkeypatch, tmp_path, stream)["clip0"], maps["clip0"])


def test_depth_is_encoded_as_it_is_stored(monkeypatch, tmp_path):
    maps = videos_of(monkeypatch, tmp_path, "depth-spectral-depthcrafter")
    stored = ShardReader(tmp_path / "source.h5").read("clip3", "depth")
    np.testing.assert_array_equal(maps["clip3"][0], encode_depth(stored / np.float32(65535)))
    np.testing.assert_allclose(decode_depth(maps["clip3"][0]), stored / 65535, atol=0.01)


def test_options_of_the_job_reach_the_colormap(monkeypatch, tmp_path):
    stream = "seg-location-entityseg"
    maps = videos_of(monkeypatch, tmp_path, stream)
    monkeypatch.setitem(JOBS, stream, JOBS[stream].model_copy(update={"options": {"location_grid": 11}}))
    assert not np.array_equal(videos_of(monkeypatch, tmp_path, stream)["clip0"], maps["clip0"])


def test_the_shard_and_the_timing_say_how_it_was_made(monkeypatch, tmp_path):
    stream, timing = "depth-spectral-depthcrafter", tmp_path / "timing.json"
    latents = encode(monkeypatch, write_source(tmp_path / "d.h5", stream), "latents", stream, "--timing", str(timing))
    assert latents.attrs["job"] == JOBS[stream].model_dump(mode="json") and latents.attrs["stream"] == stream
    assert (latents.attrs["vae"], latents.attrs["source"]) == ("mini:cogvideox", ShardReader(tmp_path / "d.h5").sha256)
    record = read_throughput(timing)
    assert (record.stage, record.job, record.clips) == (f"latents/{stream}", latents.attrs["job"], 5)
    assert record.size == {"num_frames": 5, "height": 64, "width": 64} and record.model_seconds > 0


@pytest.mark.parametrize(
    ("stream", "shape"),
    [
        ("video", (2, 8, 16, 16)),
        ("seg-pixelplanes-entityseg", (2, 2, 8, 16, 16)),
        ("seg-location-entityseg", (2, 8, 16, 16)),
    ],
)
def test_a_killed_job_goes_on_to_the_same_content(monkeypatch, tmp_path, stream, shape):
    source = write_source(tmp_path / "source.h5", stream)
    whole = encode(monkeypatch, source, "whole", stream)
    assert whole.clip_ids == [f"clip{number}" for number in range(5)]
    assert whole.read_at(0, "latents").shape == shape and whole.read_at(0, "latents").dtype == np.float16

    calls = killed_at_call(2, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        encode(monkeypatch, source, "killed", stream)
    assert not (tmp_path / "killed.h5").exists()
    killed = encode(monkeypatch, source, "killed", stream)
    assert len(calls) == 2 + 2, "the first batch was not encoded again"
    assert killed.sha256 == whole.sha256


def test_latents_of_other_clips_are_not_taken_over(monkeypatch, tmp_path):
    source = write_clips(tmp_path / "source.h5")
    calls = killed_at_call(3, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        encode(monkeypatch, source, "latents")
    write_clips(source, broken=(0,))
    with pytest.warns(UserWarning, match="other attributes"):
        latents = encode(monkeypatch, source, "latents")
    assert "clip0" not in latents.clip_ids and calls[3:] == [1, 2, 1]


def test_a_clip_that_fails_is_listed_and_the_rest_goes_on(monkeypatch, tmp_path):
    latents = encode(monkeypatch, write_clips(tmp_path / "source.h5", broken=(1,)), "latents")
    assert latents.clip_ids == ["clip0", "clip2", "clip3", "clip4"]
    reasons = {entry["clip_id"]: entry["reason"] for entry in latents.rejected}
    assert reasons["clip5"] == "too dark: very" and set(reasons) == {"clip1", "clip5"}
    assert reasons["clip1"].startswith("failed: ValueError: cannot decode 8 bytes")


def test_too_many_failures_stop_the_job(monkeypatch, tmp_path):
    source = write_clips(tmp_path / "source.h5", broken=(1, 4))
    with pytest.raises(TooManyFailures, match=r"2 of 5 clips failed.*clip1: ValueError"):
        encode(monkeypatch, source, "latents")
    assert not (tmp_path / "latents.h5").exists()
