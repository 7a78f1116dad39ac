"""All eight display matrices, as players show them, through every way in."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from made_videos import BLUE, GREEN, GREY, RED, corners, quarters, turned
from PIL import Image

from udpdiff.sources.videos import read_clip
from udpdiff.video_io import decode_mp4, encode_mp4, probe, read_video

# Stored: red, green / blue, grey. A pixel (x right, y down) goes to (a x + c y, b x + d y); worked out by hand.
# The names are what ffmpeg's `autorotate` does to the stored picture.
MATRICES = {
    "as it is": ((1, 0, 0, 1), [RED, GREEN, BLUE, GREY]),
    "clockwise": ((0, 1, -1, 0), [BLUE, RED, GREY, GREEN]),
    "half": ((-1, 0, 0, -1), [GREY, BLUE, GREEN, RED]),
    "counterclockwise": ((0, -1, 1, 0), [GREEN, GREY, RED, BLUE]),
    "hflip": ((-1, 0, 0, 1), [GREEN, RED, GREY, BLUE]),
    "vflip": ((1, 0, 0, -1), [BLUE, GREY, RED, GREEN]),
    "transpose=cclock_flip": ((0, 1, 1, 0), [RED, BLUE, GREEN, GREY]),
    "transpose=clock_flip": ((0, -1, -1, 0), [GREY, GREEN, BLUE, RED]),
}


@pytest.mark.parametrize(("matrix", "expected"), MATRICES.values(), ids=MATRICES)
def test_pictures_lie_as_players_show_them(tmp_path, matrix, expected):
    path = tmp_path / "turned.mp4"
    path.write_bytes(turned(encode_mp4(quarters(9, 32, 64), 8), matrix))
    height, width = (64, 32) if matrix[0] == 0 else (32, 64)
    for video in (read_video(path), decode_mp4(path), decode_mp4(path.read_bytes())):
        assert video.shape == (9, height, width, 3)
        assert corners(video[4]) == expected
    assert corners(read_clip(path, 9, 8, height // 2, width // 2)[4]) == expected
    info = probe(path)
    assert (info.width, info.height, info.num_frames, info.fps) == (width, height, 9, 8)


def test_a_turned_clip_is_cropped_in_its_middle(tmp_path):
    path = tmp_path / "turned.mp4"
    path.write_bytes(turned(encode_mp4(quarters(9, 32, 64), 8), (0, 1, 1, 0)))
    image = read_clip(path, 9, 8, 16, 16)[0]
    assert corners(image) == [RED, BLUE, GREEN, GREY]
    assert np.argmax(np.abs(np.diff(image[:, 3, 0].astype(int)))) in (6, 7, 8)


@pytest.mark.parametrize("scale", [2, 3])
def test_a_matrix_that_also_stretches_still_turns(tmp_path, scale):
    path = tmp_path / "stretched.mp4"
    path.write_bytes(turned(encode_mp4(quarters(9, 32, 64), 8), (0, scale, -scale, 0)))
    assert corners(read_video(path)[0]) == [BLUE, RED, GREY, GREEN]


def test_a_matrix_of_zeros_turns_nothing(tmp_path):
    path = tmp_path / "zeros.mp4"
    path.write_bytes(turned(encode_mp4(quarters(9, 32, 64), 8), (0, 0, 0, 0)))
    assert corners(read_video(path)[0]) == [RED, GREEN, BLUE, GREY]


def test_pictures_of_a_camera_with_notes(tmp_path):
    """Motion JPEG whose frames say by EXIF how the camera was held: 6 is turned clockwise to be shown."""
    notes, picture = Image.Exif(), io.BytesIO()
    notes[0x0112] = 6
    Image.fromarray(quarters(1, 32, 64)[0]).save(picture, "JPEG", exif=notes, quality=95)
    path = tmp_path / "camera.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=8)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuvj420p"
        for number in range(9):
            packet = av.Packet(picture.getvalue())
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = Fraction(1, 8), stream
            container.mux(packet)
    assert corners(read_video(path)[0]) == [BLUE, RED, GREY, GREEN]
