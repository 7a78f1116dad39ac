"""Encoding as a job: killed, it goes on to the same content; a bad clip is listed, many stop the job."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from scripts import encode_latents
from udpdiff.storage.failures import TooManyFailures
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.video_io import encode_mp4

CONFIG = yaml.safe_load((Path(__file__).parents[1] / "config.yaml").read_text())
SETTINGS = CONFIG["encoding"] | {"seed": 7, "base": CONFIG["model"]["base"], "device": "cpu", "max_failed_share": 0}
SETTINGS |= {"batch_clips": 2, "colourings": 2}


def write_clips(path: Path, broken: tuple[int, ...] = ()) -> Path:
    """Five clips of random colours, of which some are no video, and one that was rejected."""
    rng = np.random.default_rng(0)
    with ShardWriter(path, "clips", {"height": 64, "width": 64, "num_frames": 5, "fps": 8.0}) as shard:
        for number in range(5):
            video = rng.integers(0, 256, (5, 8, 8, 3), np.uint8).repeat(8, axis=1).repeat(8, axis=2)
            data = b"no video" if number in broken else encode_mp4(video, 8.0)
            shard.add(f"clip{number}", {"video_mp4": data, "brief": "A clip.", "detailed": "", "source_id": "s"})
        shard.reject("clip5", "too dark: very")
    return path


def write_entities(path: Path) -> Path:
    rng = np.random.default_rng(0)
    with ShardWriter(path, "entities", {}) as shard:
        for number in range(5):
            ids = rng.integers(1, 4, (5, 8, 8)).repeat(8, axis=1).repeat(8, axis=2)
            shard.add(f"clip{number}", {"entity_ids": ids.astype(np.uint16)})
    return path


def encode(monkeypatch, source: Path, name: str, stream: str = "video") -> ShardReader:
    output = source.with_name(f"{name}.h5")
    told = ["--stream", stream, "--settings", json.dumps(SETTINGS), "--source", str(source), "--latents", str(output)]
    monkeypatch.setattr(sys, "argv", ["encode_latents", *told])
    encode_latents.main()
    return ShardReader(output)


def killed_at_call(number: int, monkeypatch) -> list[int]:
    """Let the encoder be killed at that call; the videos of each call are counted in the list."""
    calls, encode_videos = [], encode_latents.vae_latents.encode_videos

    def encode_or_die(vae, videos):
        calls.append(len(videos))
        if len(calls) == number:
            raise KeyboardInterrupt
        return encode_videos(vae, videos)

    monkeypatch.setattr(encode_latents.vae_latents, "encode_videos", encode_or_die)
    return calls


@pytest.mark.parametrize("stream, shape", [("video", (2, 16, 16, 16)), ("pixelplanes-entityseg", (2, 2, 16, 16, 16))])
def test_a_killed_job_goes_on_to_the_same_content(monkeypatch, tmp_path, stream, shape):
    write_source = write_clips if stream == "video" else write_entities
    source = write_source(tmp_path / "source.h5")
    whole = encode(monkeypatch, source, "whole", stream)
    assert whole.clip_ids == [f"clip{number}" for number in range(5)] and len(whole.read_at(0, "latents").shape) == len(
        shape
    )

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
