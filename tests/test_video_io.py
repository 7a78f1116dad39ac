"""Encoding and decoding: shapes, frame counts, colours, order of frames, bytes that are equal, files that are whole."""

from __future__ import annotations

import io

import av
import numpy as np
import pytest

from udpdiff.video_io import decode_mp4, encode_mp4, probe, read_video, write_mp4


def gradient_video(frames: int = 9, height: int = 32, width: int = 48) -> np.ndarray:
    """A smooth moving picture: every frame, row and column differs from its neighbours."""
    t, y, x = np.meshgrid(np.arange(frames), np.arange(height), np.arange(width), indexing="ij")
    return np.stack([60 + 2 * x + 3 * t, 220 - 3 * y - 2 * t, 40 + x + 2 * y], axis=-1).astype(np.uint8)


def mean_error(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other).mean())


@pytest.mark.parametrize("frames", [1, 2, 9, 50])
@pytest.mark.parametrize("fps", [8, 29.97])
def test_round_trip_keeps_every_frame_and_its_colors(frames, fps):
    video = gradient_video(frames)
    decoded = decode_mp4(encode_mp4(video, fps))
    assert decoded.shape == video.shape
    assert decoded.dtype == np.uint8
    assert mean_error(decoded, video) < 2.5
    if frames > 5:
        assert mean_error(decoded[5:], video[:-5]) > 2 * mean_error(decoded, video), "the test sees the order of frames"


def test_reading_a_file_gives_all_frames_or_the_first_ones(tmp_path):
    write_mp4(tmp_path / "clip.mp4", gradient_video(9), 8)
    whole = read_video(tmp_path / "clip.mp4")
    np.testing.assert_array_equal(whole, decode_mp4(tmp_path / "clip.mp4"))
    np.testing.assert_array_equal(read_video(str(tmp_path / "clip.mp4"), max_frames=4), whole[:4])


@pytest.mark.parametrize("height, width, shape", [(32, 48, (16, 24)), (48, 32, (24, 16)), (32, 90, (16, 44))])
def test_bigger_pictures_are_shrunk_while_they_are_read(tmp_path, height, width, shape):
    video = gradient_video(4, height, width)
    write_mp4(tmp_path / "clip.mp4", video, 8)
    side = min(shape)
    shrunk = read_video(tmp_path / "clip.mp4", short_side=side)
    assert shrunk.shape == (4, *shape, 3)
    places = [
        np.round((np.arange(n) + 0.5) * full / n - 0.5).astype(int)
        for n, full in zip(shape, (height, width), strict=True)
    ]
    assert mean_error(shrunk, video[:, places[0]][:, :, places[1]]) < 6, "the whole picture, upright"
    np.testing.assert_array_equal(read_video(tmp_path / "clip.mp4", short_side=64), read_video(tmp_path / "clip.mp4"))
    with pytest.raises(ValueError, match="max_frames: got 0"):
        read_video(tmp_path / "clip.mp4", max_frames=0)
    with pytest.raises(ValueError, match=r"cannot decode '.*none\.mp4'"):
        read_video(tmp_path / "none.mp4")


@pytest.mark.parametrize("color", [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (18, 201, 130)])
def test_flat_colors_survive(color):
    video = np.full((3, 16, 16, 3), color, np.uint8)
    assert np.abs(decode_mp4(encode_mp4(video, 8)).astype(int) - video).max() <= 3


def test_equal_videos_give_equal_bytes_and_crf_trades_size():
    video = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), np.uint8)
    assert encode_mp4(video, 8) == encode_mp4(video.copy(), 8)
    assert len(encode_mp4(video, 8, crf=35)) < len(encode_mp4(video, 8, crf=12)) / 2


@pytest.mark.parametrize("frames", [1, 9, 600])
def test_index_stands_before_the_data_for_browsers(frames):
    data = encode_mp4(np.zeros((frames, 16, 16, 3), np.uint8), 8)
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_stream_is_what_browsers_play():
    with av.open(io.BytesIO(encode_mp4(gradient_video(), 8))) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.codec_context.colorspace == 1, "BT.709"


@pytest.mark.parametrize("size", [(9, 32, 48), (1, 2, 2), (3, 30, 46)])
def test_lossless_videos_come_back_exactly(size):
    video = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    data = encode_mp4(video, 8, lossless=True)
    np.testing.assert_array_equal(decode_mp4(data), video)
    assert data == encode_mp4(video, 8, lossless=True) and data.index(b"moov") < data.index(b"mdat")
    assert probe(data).fps == 8


def test_every_colour_survives_a_lossless_video():
    levels = np.arange(0, 256, 5, dtype=np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1)
    np.testing.assert_array_equal(decode_mp4(encode_mp4(colours, 8, lossless=True)), colours)


def test_array_need_not_be_contiguous():
    # Not smaller: of 32 x 32 pixels x264 gives, once in some hundred times, other bytes for equal pictures.
    video = gradient_video(9, 128, 128)
    assert encode_mp4(video[:, ::2, ::-2], 8) == encode_mp4(video[:, ::2, ::-2].copy(), 8)


@pytest.mark.parametrize(
    ("video", "names"),
    [
        (np.zeros((3, 31, 32, 3), np.uint8), "32x31"),
        (np.zeros((3, 32, 31, 3), np.uint8), "31x32"),
        (np.zeros((3, 32, 32, 3), np.float32), "float32"),
        (np.zeros((32, 32, 3), np.uint8), r"\(32, 32, 3\)"),
        (np.zeros((3, 3, 32, 32), np.uint8), r"\(3, 3, 32, 32\)"),
        (np.zeros((0, 32, 32, 3), np.uint8), "at least one frame"),
    ],
)
def test_impossible_videos_are_named(video, names):
    with pytest.raises(ValueError, match=names):
        encode_mp4(video, 8)


@pytest.mark.parametrize(("fps", "crf", "names"), [(0, 12, "fps"), (-1, 12, "fps"), (8, 52, "crf"), (8, -1, "crf")])
def test_impossible_settings_are_named(fps, crf, names):
    with pytest.raises(ValueError, match=names):
        encode_mp4(gradient_video(), fps, crf)


def test_write_and_probe(tmp_path):
    path = tmp_path / "new folder" / "clip.mp4"
    write_mp4(path, gradient_video(), 8)
    info = probe(path)
    assert (info.width, info.height, info.fps, info.num_frames, info.codec) == (48, 32, 8, 9, "h264")
    assert info.duration_seconds == pytest.approx(9 / 8)
    assert mean_error(decode_mp4(path), decode_mp4(path.read_bytes())) == 0


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "clip.mp4"
    write_mp4(path, gradient_video(), 8)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="even sides"):
        write_mp4(path, gradient_video(9, 31), 8)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_mp4(tmp_path / "folder.mp4", gradient_video(), 8)
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["clip.mp4", "folder.mp4"]


@pytest.mark.parametrize("data", [b"", b"no video at all" * 50])
def test_unreadable_bytes_are_a_value_error(data):
    with pytest.raises(ValueError, match="bytes of video"):
        decode_mp4(data)


def test_unreadable_files_are_a_value_error(tmp_path):
    with pytest.raises(ValueError, match=r"missing\.mp4"):
        decode_mp4(tmp_path / "missing.mp4")
    with pytest.raises(ValueError, match=r"missing\.mp4"):
        probe(tmp_path / "missing.mp4")


def test_playlists_cannot_open_other_files(tmp_path):
    write_mp4(tmp_path / "private.mp4", gradient_video(), 8)
    recipe = tmp_path / "recipe.mp4"
    recipe.write_text("ffconcat version 1.0\nfile private.mp4\n")
    with pytest.raises(ValueError, match="Invalid"):
        read_video(recipe)
    recipe.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\nprivate.mp4\n#EXT-X-ENDLIST\n")
    with pytest.raises(ValueError, match="Invalid"):
        read_video(recipe)
