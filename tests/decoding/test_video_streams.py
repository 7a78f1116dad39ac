"""Which stream is the video, and what becomes of files that are odd: covers, sound first, sizes that change, damage."""

from __future__ import annotations

import multiprocessing
import os
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from made_videos import (
    BLUE,
    GREEN,
    GREY,
    RED,
    WITH_B_FRAMES,
    copy_packets,
    corners,
    frames_of,
    numbers,
    quarters,
    ramp,
    write_frames,
)

from udpdiff.clip import RejectedClip
from udpdiff.sources.videos import read_clip
from udpdiff.video_io import decode_mp4, encode_mp4, probe, read_video

CLIP = {"num_frames": 9, "fps": 8, "height": 16, "width": 16}


def refusals(path) -> tuple[str, str, str]:
    """What each way in says."""
    said = []
    for read in (lambda: read_clip(path, **CLIP), lambda: read_video(path), lambda: probe(path)):
        with pytest.raises((RejectedClip, ValueError)) as caught:
            read()
        said.append(str(caught.value))
    return tuple(said)


def write_streams(path, streams):
    """Streams of a container, in order: (video, codec, options for its disposition) or None for silence."""
    with av.open(os.fspath(path), "w") as container:
        added = []
        for given in streams:
            if given is None:
                added.append(container.add_stream("aac", rate=48000, layout="mono"))
                continue
            video, codec, disposition = given
            pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream = container.add_stream(codec, rate=8)
            stream.height, stream.width, stream.pix_fmt = *video.shape[1:3], pix_fmt
            stream.disposition = disposition
            added.append(stream)
        for stream, given in zip(added, streams, strict=True):
            if given is None:
                for first in range(0, 48000, 1024):
                    sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
                    sound.sample_rate, sound.pts = 48000, first
                    container.mux(stream.encode(sound))
            else:
                for index, frame in enumerate(frames_of(given[0], stream.pix_fmt)):
                    frame.pts, frame.time_base = index, Fraction(1, 8)
                    container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return path


def cover() -> np.ndarray:
    return np.full((1, 64, 64, 3), 255, np.uint8)


def kinds():
    from av.stream import Disposition

    none, picture, default = Disposition(0), Disposition.attached_pic, Disposition.default
    film, other = quarters(9, 32, 64), np.full((9, 48, 48, 3), 200, np.uint8)
    return {
        "cover first, mp4": ("a.mp4", [(cover(), "mjpeg", picture), (film, "libx264", default)]),
        "cover first, mkv": ("a.mkv", [(cover(), "mjpeg", picture), (film, "libx264", default)]),
        "still first": ("a.mkv", [(cover(), "mjpeg", none), (film, "libx264", default)]),
        "cover last": ("a.mp4", [(film, "libx264", default), (cover(), "mjpeg", picture)]),
        "sound first": ("a.mp4", [None, (film, "libx264", default)]),
        "default second": ("a.mkv", [(other, "libx264", none), (film, "libx264", default)]),
        "two alike": ("a.mkv", [(film, "libx264", none), (other, "libx264", none)]),
    }


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_every_way_in_takes_the_film(tmp_path, kind):
    name, streams = kinds()[kind]
    path = write_streams(tmp_path / name, streams)
    for video in (read_video(path), decode_mp4(path.read_bytes()), read_clip(path, 9, 8, 32, 64)):
        assert video.shape == (9, 32, 64, 3)
        assert corners(video[4]) == [RED, GREEN, BLUE, GREY]
    info = probe(path)
    assert (info.width, info.height, info.codec) == (64, 32, "h264")


def test_nothing_but_a_cover_is_no_video(tmp_path):
    from av.stream import Disposition

    path = write_streams(tmp_path / "song.mp4", [None, (cover(), "mjpeg", Disposition.attached_pic)])
    assert all("no video stream: sound only" in said for said in refusals(path))


def test_pixels_that_are_not_square_are_widened(tmp_path):
    def anamorphic(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(16, 11)

    path = write_frames(tmp_path / "dvd.mp4", frames_of(quarters(9, 32, 44)), fps=8, setup=anamorphic)
    assert read_video(path).shape == (9, 32, 64, 3)
    assert (probe(path).width, probe(path).height) == (64, 32)


@pytest.mark.parametrize("shape", [(33, 57), (57, 33)])
def test_odd_sizes(tmp_path, shape):
    path = write_frames(tmp_path / "odd.mkv", frames_of(quarters(9, *shape), "yuv444p"), fps=8)
    assert read_video(path).shape == (9, *shape, 3)
    assert corners(read_video(path)[0]) == [RED, GREEN, BLUE, GREY]


@pytest.mark.parametrize("name", ["a.ts", "a.h264"])
def test_a_size_that_changes_midway(tmp_path, name):
    """Broadcasts do this. Later frames are shown in the window of the first, by both ways in."""
    parts = [write_frames(tmp_path / f"{n}-{name}", frames_of(quarters(9, 32 * n, 64 * n)), fps=8) for n in (1, 2)]
    path = tmp_path / name
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    video = read_video(path)
    assert video.shape == (18, 32, 64, 3)
    for frame in video:
        assert corners(frame) == [RED, GREEN, BLUE, GREY]
    clip = read_clip(parts[0], 9, 8, 32, 64, start_seconds=0)
    np.testing.assert_array_equal(clip, video[:9])


def test_one_frame_alone(tmp_path):
    path = tmp_path / "one.mp4"
    path.write_bytes(encode_mp4(ramp(1), 8))
    assert numbers(read_video(path)) == [0]
    assert read_clip(path, **CLIP | {"num_frames": 1}).shape == (1, 16, 16, 3)
    with pytest.raises(RejectedClip, match="too short"):
        read_clip(path, **CLIP)


@pytest.mark.parametrize("name", ["cut.ts", "cut.h264"])
def test_a_file_that_begins_within_a_group_of_pictures(tmp_path, name):
    whole = write_frames(tmp_path / "whole.mp4", frames_of(ramp(45)), options=WITH_B_FRAMES)
    path = copy_packets(whole, tmp_path / name)
    data = path.read_bytes()
    start = 188 * (len(data) // 188 // 4) if name.endswith("ts") else len(data) // 2
    path.write_bytes(data[start:])
    seen = numbers(read_video(path))
    assert 8 < len(seen) < 45 and seen == list(range(seen[0], 45)), "what can be decoded, from there on"
    assert len(numbers(read_clip(path, 9, 30, 16, 16))) == 9


def test_damage_in_the_middle_is_told(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 64, 64, 3), np.uint8)
    path = write_frames(tmp_path / "damaged.mkv", frames_of(noise), "mpeg4")
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 4000] = bytes(4000)
    path.write_bytes(data)
    with pytest.raises(
        ValueError, match=r"cannot decode .*broken: damaged frames; expected frames that can all be decoded: .*ffm"
    ):
        read_video(path)
    assert len(read_video(path, 8)) == 8, "those before it"


def declared_gif(width: int, height: int) -> bytes:
    """A picture of one pixel on a screen of any size."""
    screen = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02D\x01\x00"
    return screen + frame * 20 + b";"


@pytest.mark.parametrize("size", [(16000, 16000), (65535, 65535), (16384, 8192)])
def test_huge_pictures_are_refused_before_they_take_memory(tmp_path, size):
    import resource

    path = tmp_path / "huge.gif"
    path.write_bytes(declared_gif(*size))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert all("unreadable" in said for said in refusals(path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kB"


def test_an_encrypted_file_says_so(tmp_path):
    path = tmp_path / "locked.mp4"
    options = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "00" * 16, "encryption_kid": "11" * 16}
    with av.open(os.fspath(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=8)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for frame in frames_of(ramp(12)):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert all("encrypted" in said for said in refusals(path))


def test_an_unknown_codec_says_so(tmp_path):
    path = tmp_path / "strange.mp4"
    path.write_bytes(encode_mp4(ramp(12), 8).replace(b"avc1", b"zzzz"))
    assert all("codec is unknown" in said for said in refusals(path))


@pytest.mark.parametrize("first", [-400, 0, 400])
def test_clocks_that_begin_anywhere(tmp_path, first):
    """Timestamps before and after zero, as edit lists and recordings have them."""
    path = tmp_path / "clock.mkv"
    with av.open(os.fspath(path), "w", options={"avoid_negative_ts": "disabled"}) as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "5", "bf": "0"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for number, frame in enumerate(frames_of(ramp(45))):
            frame.pts, frame.time_base = number * 33 + max(first, 0), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert numbers(read_clip(path, 9, 30, 16, 16, start_seconds=0.5)) == list(range(15, 24))


@pytest.mark.parametrize("hours", [6, 15, 400, 5000])
def test_a_header_that_promises_ages(tmp_path, hours):
    """Numbers of any length, in the tag that says how long a stream of Matroska is."""
    path = tmp_path / "ages.mkv"
    with av.open(os.fspath(path), "w") as container:
        stream = container.add_stream("libx264", rate=8, options={"crf": "5"})
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        stream.metadata["XURATION"] = "9" * hours + ":00:00"
        for frame in frames_of(ramp(12)):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    # FFmpeg writes the true tag too.
    path.write_bytes(path.read_bytes().replace(b"DURATION", b"FURATION").replace(b"XURATION", b"DURATION"))
    assert len(read_video(path)) == 12
    if hours == 6:
        with pytest.raises(RejectedClip, match="header promises more"):
            read_clip(path, 9, 8, 16, 16)
    else:
        assert numbers(read_clip(path, 9, 8, 16, 16)) == list(range(1, 10)) and probe(path).duration_seconds == 1.5


@pytest.mark.parametrize("shape", [(2, 6000), (6000, 4)])
def test_a_picture_too_narrow_to_fill_a_clip_says_so(tmp_path, shape):
    path = write_frames(tmp_path / "narrow.mov", frames_of(ramp(12, *shape), "rgb24"), "png", fps=8)
    with pytest.raises(RejectedClip, match=rf"unreadable: {shape[1]} x {shape[0]} pixels.* 720 x 480"):
        read_clip(path, 9, 8, 480, 720)


def test_the_rate_of_tapes_is_none_of_their_clock(tmp_path):
    frames = frames_of(ramp(8, 480, 720), "yuv411p")
    with av.open(os.fspath(tmp_path / "tape.dv"), "w") as container:
        stream = container.add_stream("dvvideo", rate=Fraction(30000, 1001))
        stream.width, stream.height, stream.pix_fmt = 720, 480, "yuv411p"
        for frame in frames:
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert round(probe(tmp_path / "tape.dv").fps, 2) == 29.97


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_pipes_and_folders_are_no_films(tmp_path, make):
    """Opening a named pipe would wait for ever."""
    path = tmp_path / "a.mp4"
    make(path)
    for read in (read_video, probe):
        child = multiprocessing.get_context("fork").Process(target=lambda read=read: _expect_no_file(read, path))
        child.start()
        child.join(10)
        waits = child.is_alive()
        child.kill()
        assert not waits and child.exitcode == 0


def _expect_no_file(read, path):
    with pytest.raises(ValueError, match="not a file"):
        read(path)
