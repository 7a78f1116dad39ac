"""Files of every kind become clips of exact size and timing, or are rejected with the reason."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import yaml
from made_videos import BLUE, GREEN, GREY, RED, corners, numbers, quarters, ramp, turned

from udpdiff.clip import RejectedClip, Rejection
from udpdiff.config.data import Filters
from udpdiff.sources.filters import check, score_clip
from udpdiff.sources.videos import list_videos, printable, read_clip
from udpdiff.video_io import encode_mp4, read_video

PANDA = Path(__file__).parents[3] / "shared/data/panda70m/clips"
FINE = {"libx264": {"crf": "5"}, "mpeg4": {"qmin": "1", "qmax": "1"}, "mpeg2video": {"qmin": "1", "qmax": "1"}}
SIZE = {"num_frames": 9, "fps": 8, "height": 16, "width": 16}


def write_video(path, video, ticks, time_base=Fraction(1, 1000), codec="libx264", pixel_shape=None, pix_fmt="yuv420p"):
    """Write frames with explicit timestamps, in ticks of the time base."""
    with av.open(os.fspath(path), "w") as container:
        stream = container.add_stream(codec, rate=30, options=FINE.get(codec, {}))
        stream.height, stream.width, stream.pix_fmt = *video.shape[1:3], pix_fmt
        stream.codec_context.time_base = time_base
        if pixel_shape:
            stream.codec_context.sample_aspect_ratio = pixel_shape
        for array, tick in zip(video, ticks, strict=True):
            frame = av.VideoFrame.from_ndarray(array, format="rgb24")
            frame.pts, frame.time_base = tick, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_sound(path, seconds: float = 2.0):
    with av.open(os.fspath(path), "w") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        for first in range(0, int(seconds * 16000), 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, first
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def rejection(path, **size) -> str:
    with pytest.raises(RejectedClip) as caught:
        read_clip(path, **SIZE | size)
    return str(caught.value)


def test_middle_of_the_file_at_its_own_rate(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(encode_mp4(ramp(21), 8))
    video = read_clip(path, **SIZE)
    assert video.shape == (9, 16, 16, 3)
    assert video.dtype == np.uint8
    assert numbers(video) == list(range(6, 15))


def test_middle_is_exact_where_frames_are_short(tmp_path):
    """57 frames at 48 a second, of which a clip at 8 a second spans 54: it begins a frame and a half after the start."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(encode_mp4(ramp(57), 48))
    assert numbers(read_clip(path, **SIZE)) == list(range(1, 55, 6))


def test_start_can_be_chosen_and_frames_are_dropped(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(encode_mp4(ramp(50), 24))
    assert numbers(read_clip(path, **SIZE, start_seconds=0.0)) == list(range(0, 27, 3))
    assert numbers(read_clip(path, **SIZE, start_seconds=0.5)) == list(range(12, 39, 3))


def test_slow_files_repeat_frames(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(encode_mp4(ramp(9), 4))
    assert numbers(read_clip(path, **SIZE, start_seconds=0.0)) == [0, 0, 1, 1, 2, 2, 3, 3, 4]


@pytest.mark.parametrize("name", ["variable.mkv", "variable.mp4"])
def test_variable_rate_follows_the_timestamps(tmp_path, name):
    # Ten frames a second, then a second and a half of stillness, then ten frames a second again.
    ticks = [*range(0, 1000, 100), *range(2400, 3400, 100)]
    path = write_video(tmp_path / name, ramp(20), ticks)
    video = read_clip(path, num_frames=12, fps=4, height=16, width=16, start_seconds=0.0)
    due = np.arange(12) * 250
    assert numbers(video) == [max(n for n, tick in enumerate(ticks) if tick <= time) for time in due]


@pytest.mark.parametrize("name", ["clip.mkv", "clip.webm", "clip.avi", "clip.ts", "clip.mpg"])
def test_containers_without_an_index_or_a_zero_start(tmp_path, name):
    codec = {".webm": "libvpx-vp9", ".avi": "mpeg4", ".mpg": "mpeg2video"}.get(Path(name).suffix, "libx264")
    path = write_video(tmp_path / name, ramp(45), range(45), Fraction(1, 30), codec)
    video = read_clip(path, num_frames=9, fps=30, height=16, width=16, start_seconds=0.5)
    # Timestamps of MPEG program streams are approximate: neighbours may change places by one.
    assert np.abs(np.array(numbers(video)) - np.arange(15, 24)).max() <= (1 if name.endswith(".mpg") else 0)


@pytest.mark.parametrize(
    ("matrix", "size", "expected"),
    [
        ((0, 1, -1, 0), (32, 16), [BLUE, RED, GREY, GREEN]),
        ((0, -1, 1, 0), (32, 16), [GREEN, GREY, RED, BLUE]),
        ((-1, 0, 0, -1), (16, 32), [GREY, BLUE, GREEN, RED]),
    ],
    ids=["clockwise", "counterclockwise", "half"],
)
def test_rotation_of_the_display_matrix(tmp_path, matrix, size, expected):
    path = tmp_path / "turned.mp4"
    path.write_bytes(turned(encode_mp4(quarters(9, 32, 64), 8), matrix))
    video = read_clip(path, 9, 8, *size)
    assert video.shape == (9, *size, 3)
    assert corners(video[4]) == expected
    whole = read_video(path, max_frames=5)
    assert whole.shape == (5, *(2 * side for side in size), 3)
    assert corners(whole[4]) == expected


@pytest.mark.parametrize(("height", "width"), [(33, 57), (57, 33), (16, 101)])
def test_odd_sizes_are_cropped_at_the_centre(tmp_path, height, width):
    path = write_video(tmp_path / "odd.mkv", quarters(9, height, width), range(0, 1125, 125), pix_fmt="yuv444p")
    image = read_clip(path, **SIZE)[0]
    assert corners(image) == [RED, GREEN, BLUE, GREY]
    # The seams stay in the middle: equal parts were cut on both sides.
    assert np.argmax(np.abs(np.diff(image[3, :, 0].astype(int)))) in (6, 7, 8)


def test_shapes_are_kept(tmp_path):
    video = np.full((9, 64, 128, 3), 20, np.uint8)
    y, x = np.mgrid[:64, :128]
    video[:, (y - 32) ** 2 + (x - 64) ** 2 < 20**2] = 220
    path = tmp_path / "disc.mp4"
    path.write_bytes(encode_mp4(video, 8))
    bright = read_clip(path, 9, 8, 32, 32)[0].mean(axis=-1) > 120
    assert bright.any(axis=0).sum() == bright.any(axis=1).sum() == pytest.approx(20, abs=1)


def test_pixels_that_are_not_square(tmp_path):
    video = np.full((9, 64, 64, 3), 20, np.uint8)
    y, x = np.mgrid[:64, :64]
    video[:, (y - 32) ** 2 + (2 * (x - 32)) ** 2 < 24**2] = 220  # On screen, twice as wide: a disc.
    path = write_video(tmp_path / "anamorphic.mp4", video, range(0, 1125, 125), pixel_shape=Fraction(2, 1))
    bright = read_clip(path, 9, 8, 32, 32)[0].mean(axis=-1) > 120
    assert bright.any(axis=0).sum() == pytest.approx(bright.any(axis=1).sum(), abs=1)


def test_shrinking_averages(tmp_path):
    stripes = np.zeros((9, 128, 128, 3), np.uint8)
    stripes[:, :, ::2] = 255
    path = tmp_path / "stripes.mp4"
    path.write_bytes(encode_mp4(stripes, 8))
    image = read_clip(path, **SIZE)[0].astype(int)
    assert abs(image - 128).max() < 12, "stripes finer than a pixel become grey, without beats"


@pytest.mark.parametrize(
    "name", ["a b.mp4", 'it\'s "q".mp4', "-start.mp4", "concat:a.mp4", "día 日本.mp4", "100%d.mp4", "a,b;c|d.mp4"]
)
def test_file_names_are_only_names(tmp_path, monkeypatch, name):
    (tmp_path / name).write_bytes(encode_mp4(ramp(12), 8))
    monkeypatch.chdir(tmp_path)
    assert read_clip(name, **SIZE).shape == (9, 16, 16, 3)
    assert [path.name for path in list_videos(tmp_path)] == [name]


def test_sound_in_the_file_is_ignored_and_longer_sound_is_no_duration(tmp_path):
    # The sound lasts four seconds, the pictures 1.5: their middle is wanted.
    path = tmp_path / "both.mkv"
    with av.open(os.fspath(path), "w") as container:
        pictures = container.add_stream("libx264", rate=8, options={"crf": "5"})
        pictures.width = pictures.height = 32
        pictures.pix_fmt = "yuv420p"
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for number, array in enumerate(ramp(12)):
            frame = av.VideoFrame.from_ndarray(array, format="rgb24")
            frame.pts = number
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        for first in range(0, 64000, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, first
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    assert numbers(read_clip(path, **SIZE)) in (list(range(1, 10)), list(range(2, 11)))


def test_empty_text_and_missing_files(tmp_path):
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("this is a shopping list\n" * 100)
    assert rejection(tmp_path / "empty.mp4") == "empty file"
    assert rejection(tmp_path / "text.mp4").startswith("unreadable: Invalid data")
    assert rejection(tmp_path / "gone.mp4").startswith("unreadable: not a file")


def test_pipes_do_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    assert rejection(tmp_path / "pipe.mp4").startswith("unreadable: not a file")


def test_sound_only(tmp_path):
    assert rejection(write_sound(tmp_path / "song.mp4")) == "no video stream: sound only"


def test_too_short_says_how_much_is_needed(tmp_path):
    path = tmp_path / "short.mp4"
    path.write_bytes(encode_mp4(ramp(8), 8))
    assert rejection(path) == "too short: 1.00 s, 1.00 s needed"
    assert rejection(path, num_frames=49) == "too short: 1.00 s, 6.00 s needed"
    assert read_clip(path, **SIZE | {"num_frames": 8}).shape[0] == 8
    path.write_bytes(encode_mp4(ramp(9), 8))
    assert numbers(read_clip(path, **SIZE)) == list(range(9))


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6])
def test_truncated_files(tmp_path, share):
    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), np.uint8)
    data = encode_mp4(noise, 8)
    path = tmp_path / "truncated.mp4"
    path.write_bytes(data[: int(len(data) * share)])
    reason = rejection(path, start_seconds=3.5)
    assert reason.split(":")[0] in {Rejection.BROKEN, Rejection.UNREADABLE}


def test_damaged_files_are_rejected_or_read_but_never_crash(tmp_path):
    rng = np.random.default_rng(0)
    data = encode_mp4(rng.integers(0, 256, (16, 32, 32, 3), np.uint8), 8)
    path, outcomes = tmp_path / "damaged.mp4", set()
    for _ in range(150):
        damaged = np.frombuffer(data, np.uint8).copy()
        damaged[rng.integers(0, rng.choice([1000, len(data)]), rng.integers(1, 30))] = rng.integers(0, 256)
        path.write_bytes(damaged.tobytes())
        try:
            assert read_clip(path, **SIZE).shape == (9, 16, 16, 3)
            outcomes.add("read")
        except RejectedClip as rejected:
            assert str(rejected).startswith(rejected.reason)
            outcomes.add(rejected.reason)
    assert len(outcomes) >= 3, "damage of several kinds was met"


def test_listing_takes_videos_by_ending_in_order(tmp_path):
    for name in ("b.MP4", "a.mkv", "notes.txt", ".hidden.mp4", "c.mp4.part"):
        (tmp_path / name).touch()
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "dead.mov").symlink_to(tmp_path / "nothing")
    assert [path.name for path in list_videos(tmp_path)] == ["a.mkv", "b.MP4", "dead.mov"]


def test_names_that_are_no_text_are_written_out(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.mp4")).write_bytes(encode_mp4(ramp(12), 8))
    path = list_videos(tmp_path)[0]
    assert read_clip(path, **SIZE).shape == (9, 16, 16, 3)
    assert printable(path.name) == r"caf\udce9.mp4"
    assert printable("día 日本.mp4") == "día 日本.mp4"
    assert printable("two\nlines.mp4") == r"two\nlines.mp4"
    assert printable(r"two\nlines.mp4") == r"two\\nlines.mp4", "no two names give one id"


@pytest.mark.skipif(not PANDA.is_dir(), reason="the Panda-70M sample clips are not beside the checkout")
def test_real_clips_are_read_and_most_pass_the_filters():
    paths = list_videos(PANDA)
    assert len(paths) == 40
    kept = 0
    thresholds = Filters(**yaml.safe_load((Path(__file__).parents[2] / "config.yaml").read_text())["filters"])
    for path in paths[::5]:
        video = read_clip(path, 9, 8, 64, 64)
        assert video.shape == (9, 64, 64, 3)
        kept += not check(score_clip(video), thresholds)
    assert kept >= 6
