"""Bytes on disk, counted by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from udpdiff.config.parsing import parse
from udpdiff.planning import disk

ROOT = Path(__file__).parents[2]
SIZE = {"num_frames": 49, "height": 480, "width": 720}
PIXELS = 49 * 480 * 720


def config_with(**sections: dict):
    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    for section, values in sections.items():
        raw[section] |= values
    return parse(raw)


def test_a_sample_with_a_prediction_holds_two_videos_and_labels():
    config = config_with(storage={"depth_bits": 8}, sampling={"codec": "h264"})
    video = disk.sample_bytes(config, None, SIZE)
    assert video == pytest.approx(0.118 * PIXELS)
    for kind, labels in (("depth", 0.18), ("entities", 0.038)):
        assert disk.label_bytes(config, kind, SIZE) == pytest.approx(labels * PIXELS)
        assert disk.sample_bytes(config, kind, SIZE) == pytest.approx(2 * video + labels * PIXELS)
    lossless = config_with(sampling={"codec": "lossless"})
    assert disk.sample_bytes(lossless, None, SIZE) == pytest.approx(1.2 * PIXELS)


@pytest.mark.parametrize("bits, per_pixel", [(8, 0.18), (10, 0.38), (12, 0.7), (16, 1.41)])
def test_depth_takes_room_by_its_bits(bits, per_pixel):
    config = config_with(storage={"depth_bits": bits})
    assert disk.label_bytes(config, "depth", SIZE) == pytest.approx(per_pixel * PIXELS)


def test_scenes_are_lossless_and_videos_are_not():
    scenes = disk.clip_bytes(config_with(), SIZE)
    videos = disk.clip_bytes(config_with(source={"kind": "videos", "path": "videos", "captions": "x.csv"}), SIZE)
    assert scenes - videos == pytest.approx((1.2 - 0.118) * PIXELS)


def test_at_the_peak_the_largest_runs_own_files_are_there_and_one_training():
    """A shard of labels goes once its latents are there, so of one labeller the larger of both counts."""
    passing = {
        "one": {"latents/depth-spectral-a": 30.0, "depth/a": 50.0},
        "two": {"latents/seg-pixelplanes-b": 40.0, "latents/seg-location-c": 8.0, "entities/b": 10.0},
    }
    found = disk.peak_disk(1000.0, passing, 7.0)
    assert (found.peak, found.freed) == (1000 + 50 + 7, 30 + 50 + 40 + 8 + 10 + 7)
    assert disk.peak_disk(1000.0, {}, 7.0).peak == 1007
    assert (found.another, disk.peak_disk(1000.0, {}, 7.0, trainings=2).another) == (0, 7)
