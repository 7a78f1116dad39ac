"""Interlaced films lose their combs, progressive ones not a pixel."""

from __future__ import annotations

import av
import numpy as np
import pytest
from made_videos import frames_of, numbers, ramp, write_frames

from udpdiff.decoding.deinterlacing import TimedFrame, deinterlaced
from udpdiff.sources.videos import read_clip
from udpdiff.video_io import probe, read_video

INTERLACED = {"flags": "+ildct+ilme"}


def bar(frames: int, height: int = 64, width: int = 128, step: int = 3) -> np.ndarray:
    """A bright bar that moves to the right over dark ground."""
    video = np.full((frames, height, width, 3), 40, np.uint8)
    for number in range(frames):
        video[number, :, 8 + step * number : 32 + step * number] = 200
    return video


def woven(fields: np.ndarray, top_first: bool) -> np.ndarray:
    """Two moments in one frame, in alternate lines."""
    frames = fields[::2].copy()
    first, second = (0, 1) if top_first else (1, 0)
    frames[:, first::2], frames[:, second::2] = fields[::2, first::2], fields[1::2, second::2]
    return frames


def combing(video: np.ndarray) -> float:
    """Differences of neighbouring lines that those two lines away do not show."""
    luma = video.astype(float).mean(-1)
    return float((np.abs(np.diff(luma, axis=1))[:, :-1] - np.abs(luma[:, 2:] - luma[:, :-2])).clip(0).mean())


def write_interlaced(path, video, codec, top_first):
    graph = av.filter.Graph()
    source = graph.add_buffer(width=video.shape[2], height=video.shape[1], format="yuv420p", time_base="1/25")
    graph.link_nodes(source, graph.add("setfield", "tff" if top_first else "bff"), graph.add("buffersink")).configure()
    frames = []
    for number, frame in enumerate(frames_of(video)):
        frame.pts = number
        graph.push(frame)
        frames.append(graph.pull())
    options = {"libx264": {"crf": "5"}, "mpeg2video": {"qmin": "1", "qmax": "2"}}[codec] | INTERLACED
    return write_frames(path, frames, codec, fps=25, options=options)


@pytest.mark.parametrize("top_first", [True, False], ids=["tff", "bff"])
@pytest.mark.parametrize(("codec", "name"), [("mpeg2video", "a.mpg"), ("mpeg2video", "a.ts"), ("libx264", "a.mp4")])
def test_combs_are_gone_and_frames_stay(tmp_path, codec, name, top_first):
    comb = woven(bar(26), top_first)
    path = write_interlaced(tmp_path / name, comb, codec, top_first)
    with av.open(str(path)) as container:
        assert next(container.decode(video=0)).interlaced_frame, "the test's own file"
    video = read_video(path)
    assert video.shape == comb.shape
    assert combing(comb) > 2 > 1 > combing(video)
    # Of each frame the first field is kept: the bar stands where it stood at that moment.
    bright = video[1:-1, 20].mean(-1) > 120
    edges = [int(np.argmax(row)) for row in bright]
    np.testing.assert_allclose(edges, [8 + 6 * number for number in range(1, 12)], atol=2)
    assert probe(path).fps == 25
    clip = read_clip(path, 5, 25, 64, 128)
    assert combing(clip) < 1


@pytest.mark.parametrize(("codec", "name"), [("mpeg2video", "a.mpg"), ("libx264", "a.mp4")])
def test_frames_keep_the_times_at_which_they_are_shown(tmp_path, codec, name):
    path = write_interlaced(tmp_path / name, ramp(24, 64, 64), codec, True)
    assert numbers(read_clip(path, 12, 25, 64, 64)) == list(range(6, 18))


def test_progressive_films_stay_as_they_are(tmp_path):
    """Frame by frame what the decoder gives, also where a film is interlaced later on."""
    frames = [TimedFrame(n / 25, (n + 1) / 25, frame, 1.0) for n, frame in enumerate(frames_of(bar(6)))]
    assert list(deinterlaced(iter(frames))) == frames


def test_progressive_pictures_marked_as_interlaced_survive(tmp_path):
    """Broadcasts send films so; nothing moves between the fields of a frame."""
    path = write_interlaced(tmp_path / "film.mpg", ramp(12, 64, 64), "mpeg2video", True)
    assert numbers(read_video(path)) == list(range(12))
    rng = np.random.default_rng(0)
    still = (
        np.kron(rng.integers(40, 200, (8, 8, 1)).repeat(3, -1), np.ones((8, 8, 1))).astype(np.uint8)[None].repeat(9, 0)
    )
    path = write_interlaced(tmp_path / "still.ts", still, "mpeg2video", True)
    assert np.abs(read_video(path)[4].astype(int) - still[4]).mean() < 4
