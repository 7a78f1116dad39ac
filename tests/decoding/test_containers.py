"""The same frames at the same times, whatever container they lie in and however late they begin."""

from __future__ import annotations

import numpy as np
import pytest
from made_videos import WITH_B_FRAMES, copy_packets, frames_of, numbers, ramp, write_frames

from udpdiff.sources.videos import read_clip
from udpdiff.video_io import probe, read_video

CLIP = {"num_frames": 9, "fps": 30, "height": 16, "width": 16}
FINE = {"qmin": "1", "qmax": "1"}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("source") / "film.mp4"
    return write_frames(path, frames_of(ramp(45)), options=WITH_B_FRAMES)


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "ts", "m2ts", "flv", "3gp", "avi", "h264"])
def test_frames_that_refer_to_later_ones(source, tmp_path, ending):
    path = copy_packets(source, tmp_path / f"film.{ending}")
    assert numbers(read_video(path)) == list(range(45))
    assert numbers(read_clip(path, **CLIP, start_seconds=0.5)) == list(range(15, 24))
    assert numbers(read_clip(path, **CLIP)) == list(range(18, 27))
    assert numbers(read_clip(path, **CLIP | {"num_frames": 45}, start_seconds=0)) == list(range(45))
    np.testing.assert_array_equal(read_clip(path, **CLIP), read_clip(source, **CLIP))
    assert probe(path).duration_seconds == pytest.approx(1.5, abs=0.002)
    assert probe(path).fps == pytest.approx(30, rel=1e-3)


def test_mpeg4_with_frames_that_refer_to_later_ones_in_avi(tmp_path):
    path = tmp_path / "divx.avi"
    write_frames(path, frames_of(ramp(45)), "mpeg4", options=FINE | {"bf": "2"})
    assert numbers(read_clip(path, **CLIP, start_seconds=0.5)) == list(range(15, 24))


@pytest.mark.parametrize("late", [1, 2, 10])
@pytest.mark.parametrize("ending", ["webm", "mkv", "mp4", "mov", "ts", "flv"])
def test_a_video_that_begins_after_the_sound(source, tmp_path, ending, late):
    if ending == "webm":
        source = write_frames(tmp_path / "vp9.mkv", frames_of(ramp(45)), "libvpx-vp9")
    codec = "libopus" if ending == "webm" else "aac"
    path = copy_packets(source, tmp_path / f"late.{ending}", late, codec, late + 4)
    assert numbers(read_clip(path, **CLIP)) == list(range(18, 27)), "the middle of the pictures"
    assert numbers(read_clip(path, **CLIP, start_seconds=0.5)) == list(range(15, 24))
    assert numbers(read_video(path)) == list(range(45))
    assert probe(path).duration_seconds == pytest.approx(1.5, abs=0.002)


@pytest.mark.parametrize("frames", [13, 45])
def test_program_streams_whose_frames_rarely_say_when(tmp_path, frames):
    path = write_frames(tmp_path / "film.mpg", frames_of(ramp(frames)), "mpeg2video", options=FINE)
    assert numbers(read_video(path)) == list(range(frames))
    middle = (frames - 9) // 2
    assert np.abs(np.array(numbers(read_clip(path, **CLIP))) - np.arange(middle, middle + 9)).max() <= 1
