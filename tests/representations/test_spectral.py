"""Spectral depth: the round trip is exact enough, noise moves it little, and misuse is told."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

from udpdiff.representations import spectral
from udpdiff.representations.spectral import decode_depth, encode_depth


def test_round_trip_over_all_stored_depths():
    depth = (np.arange(65536, dtype=np.float32) / 65535).reshape(256, 256)
    decoded = decode_depth(encode_depth(depth))
    assert decoded.dtype == np.float32 and decoded.shape == depth.shape
    assert np.abs(decoded - depth).max() <= 1 / 500  # asked for: 1/255
    assert np.abs(decoded - depth).mean() <= 1 / 2000
    assert abs((decoded - depth).mean()) <= 1 / 40000, "depths are rounded to the nearest colour, not down"


def test_colors_are_those_of_matplotlib():
    depth = np.linspace(0, 1, 256)[None]
    expected = matplotlib.colormaps["Spectral"](depth, bytes=True)[..., :3].astype(int)
    # matplotlib's own table has 256 entries, ours 4096: half an entry of the former is up to two steps.
    assert np.abs(encode_depth(depth).astype(int) - expected).max() <= 2
    far, near = encode_depth(np.array([[0.0, 1.0]]))[0]
    assert far[0] > 150 > far[2] and near[2] > 150 > near[0]


def test_decoding_is_finer_than_bytes():
    depth = np.linspace(0.01, 0.99, 5000)[None]
    nodes = matplotlib.colormaps["Spectral"].resampled(11)(np.arange(11))[:, :3]
    curve = np.stack([np.interp(depth, np.linspace(0, 1, 11), nodes[:, c]) for c in range(3)], axis=-1)
    assert np.abs(decode_depth(curve) - depth).max() < 1e-5


def test_float_and_byte_decoding_agree():
    colormap = np.random.default_rng(0).integers(0, 256, (3, 20, 20, 3), dtype=np.uint8)
    gap = np.abs(decode_depth(colormap) - decode_depth(colormap / 255))
    assert np.median(gap) < 1e-6


def test_the_table_for_long_clips_gives_the_same(monkeypatch):
    rng = np.random.default_rng(1)
    depth = rng.random((4, 32, 32), dtype=np.float32)
    noisy = np.clip(encode_depth(depth) + rng.normal(0, 5, (4, 32, 32, 3)), 0, 255).astype(np.uint8)
    expected = decode_depth(noisy)
    monkeypatch.setattr(spectral, "_TABLE_PIXELS", 1000)
    monkeypatch.setattr(spectral, "_CHUNK_PIXELS", 777)
    np.testing.assert_array_equal(decode_depth(noisy), expected)


def nearest_by_brute_force(colormap: np.ndarray) -> np.ndarray:
    lut = matplotlib.colormaps["Spectral"].resampled(2001)(np.arange(2001))[:, :3] * 255
    return ((colormap[..., None, :].astype(float) - lut) ** 2).sum(axis=-1).argmin(axis=-1) / 2000


def test_noisy_colors_decode_to_the_nearest_of_the_curve():
    rng = np.random.default_rng(2)
    depth = rng.random((1, 30, 30))
    noisy = np.clip(encode_depth(depth) + rng.normal(0, 8, (1, 30, 30, 3)), 0, 255).astype(np.uint8)
    decoded = decode_depth(noisy)
    assert np.mean(np.abs(decoded - nearest_by_brute_force(noisy)) < 2e-3) > 0.99
    assert np.abs(decoded - depth).mean() < 0.015  # labelling notes: 0.0118 with a plain table


def test_no_segment_that_could_be_nearest_is_left_out(monkeypatch):
    colors = np.random.default_rng(3).integers(0, 256, (1, 200, 300, 3), dtype=np.uint8)
    colors[0, :8, :8] = np.stack(np.meshgrid(*[[0, 7, 8, 255]] * 3), axis=-1).reshape(8, 8, 3)
    found = decode_depth(colors)
    monkeypatch.setattr(spectral, "_near_segments", lambda: np.ones((10, 32**3), bool))
    np.testing.assert_array_equal(decode_depth(colors), found)


def test_a_pixel_is_decoded_alike_alone_and_among_others():
    colors = np.random.default_rng(4).integers(0, 256, (1, 9, 13, 3), dtype=np.uint8)
    alone = [[decode_depth(colors[:, y : y + 1, x : x + 1])[0, 0, 0] for x in range(13)] for y in range(9)]
    np.testing.assert_array_equal(decode_depth(colors)[0], alone)


def test_empty_and_single_pixels_decode():
    assert decode_depth(np.zeros((0, 4, 4, 3), np.uint8)).shape == (0, 4, 4)
    assert decode_depth(encode_depth(np.array(0.25))).shape == ()


@pytest.mark.parametrize(
    ("depth", "message"),
    [
        (np.zeros((2, 2), np.uint16), "dtype uint16"),
        (np.array([[0.0, 1.5]]), "from 0.0 to 1.5"),
        (np.array([[np.nan, 0.5]]), "without NaN"),
    ],
)
def test_bad_depth_is_refused(depth, message):
    with pytest.raises(ValueError, match=message):
        encode_depth(depth)


@pytest.mark.parametrize(
    ("colormap", "message"),
    [
        (np.zeros((3, 4, 4), np.uint8), "shape"),
        (np.full((2, 2, 3), 200.0), "divide by 255"),
        (np.zeros((2, 2, 3), np.int64), "dtype int64"),
    ],
)
def test_bad_colormaps_are_refused(colormap, message):
    with pytest.raises(ValueError, match=message):
        decode_depth(colormap)
