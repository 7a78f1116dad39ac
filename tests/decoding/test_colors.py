"""Transfers, primaries, matrices, ranges and pixel formats become the BT.709 RGB that was meant."""

from __future__ import annotations

import av
import numpy as np
import pytest
from made_videos import frames_of, quarters, write_frames

from udpdiff.clip import RejectedClip
from udpdiff.decoding.colors import to_rgb
from udpdiff.sources.videos import read_clip
from udpdiff.video_io import decode_mp4, read_video

# Chromaticities of red, green, blue; white is D65 but for DCI-P3. From ITU-T H.273, table 2.
PRIMARIES = {
    1: ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: ((0.63, 0.34), (0.31, 0.595), (0.155, 0.07)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
}
COLORS = np.array([[200, 130, 110], [110, 130, 200], [130, 200, 110], [180, 180, 180]])
SKIN, GAMMA = COLORS[0], 2.4


def to_xyz(primaries: int) -> np.ndarray:
    """RGB to XYZ, by the definition: the three colours at full strength make white."""
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in PRIMARIES[primaries]]).T
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    return columns * np.linalg.solve(columns, white)


def in_primaries(color: np.ndarray, primaries: int) -> np.ndarray:
    """The code values in other primaries of a BT.709 colour, shares of 1."""
    linear = (color / 255) ** GAMMA @ np.linalg.solve(to_xyz(primaries), to_xyz(1)).T
    return linear ** (1 / GAMMA)


def flat(rgb, trc=2, primaries=2, matrix=2, full=False, weights=(0.2126, 0.0722), fmt="yuv444p10le"):
    """Frames of one colour, or of stripes (N,3) side by side, given as code values in [0,1], in ten bits and with tags."""
    red, blue = weights
    rgb = np.repeat(np.atleast_2d(rgb), 32, axis=0)
    luma = rgb @ (red, 1 - red - blue, blue)
    chroma = (rgb[:, 2] - luma) / (2 - 2 * blue), (rgb[:, 0] - luma) / (2 - 2 * red)
    low, span, wide = (0, 1023, 1023) if full else (64, 876, 896)
    frames = []
    for _ in range(9):
        frame = av.VideoFrame(len(rgb), 32, fmt)
        for plane, row in zip(
            frame.planes, [low + span * luma, *(512 + wide * value for value in chroma)], strict=True
        ):
            assert plane.line_size == 2 * len(rgb)
            plane.update(np.tile(row.round().astype("<u2"), 32).tobytes())
        frame.color_trc, frame.color_primaries, frame.colorspace = trc, primaries, matrix
        frame.color_range = 2 if full else 1
        frames.append(frame)
    return frames


def tagged(frames):
    def setup(stream):
        context, frame = stream.codec_context, frames[0]
        context.color_trc, context.color_primaries = frame.color_trc, frame.color_primaries
        context.colorspace, context.color_range = frame.colorspace, frame.color_range

    return setup


def shown(tmp_path, frames) -> np.ndarray:
    """The colours in the middle of the stripes, the same for every way in."""
    path = write_frames(tmp_path / "film.mkv", frames, "ffv1", setup=tagged(frames))
    colors = read_video(path, max_frames=1)[0, 16, 16::32]
    clip = read_clip(path, 9, 30, frames[0].height, frames[0].width)
    np.testing.assert_array_equal(clip[0, 16, 16::32], colors)
    return colors.squeeze()


def pq(light: np.ndarray) -> np.ndarray:
    """The code values of so many cd/m2. Source: SMPTE ST 2084."""
    power = (light / 10000) ** (2610 / 16384)
    return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)


def hlg(scene: np.ndarray) -> np.ndarray:
    """The code values of shares of the brightest scene light. Source: ITU-R BT.2100."""
    bright = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, (3 * scene) ** 0.5, bright)


@pytest.mark.parametrize("tags", [(16, 9, 9), (16, 2, 2)], ids=["tagged", "transfer alone"])
def test_pq_greys_keep_their_light(tmp_path, tags):
    lights = np.array([0, 10, 50, 100, 203, 1000, 4000, 10000])
    expected = np.minimum(1, lights / 203) ** (1 / GAMMA) * 255  # reference white is white: ITU-R BT.2408
    greys = np.repeat(pq(lights)[:, None], 3, axis=1)
    np.testing.assert_allclose(shown(tmp_path, flat(greys, *tags)), expected[:, None].repeat(3, 1), atol=4)


def test_hlg_greys_keep_their_light(tmp_path):
    scene = np.array([0, 1 / 48, 1 / 24, 1 / 12, 0.2, 0.265, 0.5, 1])
    # A screen of 1000 cd/m2 shows scene light to the power of 1.2.
    expected = np.minimum(1, 1000 * scene**1.2 / 203) ** (1 / GAMMA) * 255
    greys = np.repeat(hlg(scene)[:, None], 3, axis=1)
    np.testing.assert_allclose(shown(tmp_path, flat(greys, 18, 9, 9)), expected[:, None].repeat(3, 1), atol=4)


@pytest.mark.parametrize(
    ("primaries", "trc"), [(12, 1), (9, 14), (5, 2), (6, 6), (1, 1)], ids=["P3", "BT.2020", "625", "525", "709"]
)
def test_colors_in_other_primaries_are_the_same_colors(tmp_path, primaries, trc):
    frames = flat(in_primaries(COLORS, primaries), trc, primaries, 1)
    np.testing.assert_allclose(shown(tmp_path, frames), COLORS, atol=3)


@pytest.mark.parametrize(("trc", "gamma"), [(5, 2.8), (8, 1.0)], ids=["2.8", "linear"])
def test_other_curves(tmp_path, trc, gamma):
    frames = flat(np.full(3, 0.5), trc, 1, 1)
    np.testing.assert_allclose(shown(tmp_path, frames), 0.5 ** (gamma / GAMMA) * 255, atol=4)


@pytest.mark.parametrize("trc", [1, 2, 3, 6, 7, 11, 12, 13, 14, 15])
def test_curves_that_players_show_alike_are_left_alone(tmp_path, trc):
    np.testing.assert_allclose(shown(tmp_path, flat(SKIN / 255, trc, 1, 1)), SKIN, atol=1)


@pytest.mark.parametrize(
    ("matrix", "weights"),
    [(1, (0.2126, 0.0722)), (4, (0.30, 0.11)), (5, (0.299, 0.114)), (6, (0.299, 0.114)), (7, (0.212, 0.087)),
     (9, (0.2627, 0.0593)), (2, (0.299, 0.114))],
)  # fmt: skip
@pytest.mark.parametrize("full", [False, True])
def test_matrices_and_ranges(tmp_path, matrix, weights, full):
    frames = flat(SKIN / 255, 2, 2, matrix, full, weights)
    np.testing.assert_allclose(shown(tmp_path, frames), SKIN, atol=2)


@pytest.mark.parametrize(
    ("height", "weights"),
    [(576, (0.299, 0.114)), (719, (0.299, 0.114)), (720, (0.2126, 0.0722)), (1080, (0.2126, 0.0722))],
)
def test_without_a_matrix_the_height_tells(height, weights):
    """High definition, of 720 lines and more, is BT.709; what is lower is BT.601."""
    red, blue = weights
    luma = SKIN @ (red, 1 - red - blue, blue) / 255
    chroma = (SKIN[2] / 255 - luma) / (2 - 2 * blue), (SKIN[0] / 255 - luma) / (2 - 2 * red)
    frame = av.VideoFrame(32, height, "yuv444p")
    for plane, value in zip(frame.planes, (16 + 219 * luma, *(128 + 224 * each for each in chroma)), strict=True):
        plane.update(bytes([round(value)]) * plane.buffer_size)
    np.testing.assert_allclose(to_rgb(frame, 32, height)[height // 2, 16], SKIN, atol=2)


@pytest.mark.parametrize("matrix", [8, 10, 11, 12, 13, 14])
def test_matrices_that_cannot_be_undone_are_refused(tmp_path, matrix):
    path = tmp_path / "film.mkv"
    frames = flat(SKIN / 255, 1, 1, matrix)
    write_frames(path, frames, "ffv1", setup=tagged(frames))
    with pytest.raises(RejectedClip, match=f"its colours .*matrix {matrix} .* cannot be converted"):
        read_clip(path, 9, 30, 16, 16)
    with pytest.raises(ValueError, match=f"matrix {matrix}"):
        read_video(path)


@pytest.mark.parametrize("trc", [9, 10])
def test_transfers_that_cannot_be_undone_are_refused(tmp_path, trc):
    frames = flat(SKIN / 255, trc, 1, 1)
    path = write_frames(tmp_path / "film.mkv", frames, "ffv1", setup=tagged(frames))
    with pytest.raises(RejectedClip, match=f"transfer {trc}"):
        read_clip(path, 9, 30, 16, 16)


@pytest.mark.parametrize(
    ("codec", "name", "pix_fmt"),
    [
        ("ffv1", "a.mkv", "gray"), ("ffv1", "a.mkv", "gray16le"), ("ffv1", "a.mkv", "bgra"), ("ffv1", "a.mkv", "gbrp10le"),
        ("ffv1", "a.mkv", "yuva444p"), ("ffv1", "a.mkv", "yuv410p"), ("libx264", "a.mp4", "yuv420p10le"),
        ("libx264", "a.mp4", "yuvj420p"), ("gif", "a.gif", "bgr8"), ("rawvideo", "a.avi", "yuyv422"),
        ("qtrle", "a.mov", "rgb24"), ("mjpeg", "a.mov", "yuvj422p"),
    ],
)  # fmt: skip
def test_pixel_formats(tmp_path, codec, name, pix_fmt):
    video = quarters(9, 32, 48)
    path = write_frames(tmp_path / name, frames_of(video, pix_fmt), codec, fps=10)
    seen = read_video(path)[0].astype(int)
    if pix_fmt.startswith("gray"):
        video = (video @ np.array([0.299, 0.587, 0.114]))[..., None].repeat(3, -1)
    error = np.abs(seen - video[0])[4:12, 4:20]
    assert seen.shape == (32, 48, 3) and error.max() < (70 if pix_fmt == "bgr8" else 6)
    assert np.abs(read_clip(path, 8, 10, 32, 48)[0].astype(int) - seen)[4:12, 4:20].max() <= 2
    np.testing.assert_array_equal(decode_mp4(path)[0], seen)
