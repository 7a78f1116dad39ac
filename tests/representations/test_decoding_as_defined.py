"""Decoding is fast by what it leaves out, and gives the very ids of the plain definition, whatever it is asked."""

from __future__ import annotations

import tracemalloc

import numpy as np
import plain_entity_decoding as plain
import pytest
from scipy import ndimage

from udpdiff.representations import pixel_assignment
from udpdiff.representations.entity_decoding import DecodingSettings, decode_entities
from udpdiff.representations.exact_palette import decode_exact
from udpdiff.representations.pixel_assignment import PixelAssignment
from udpdiff.representations.pixelplanes import draw_colors, encode_entities
from udpdiff.representations.smoothing import smooth, smooth_at
from udpdiff.representations.specks import remove_specks


def cells(count: int, seed: int, frames: int, height: int, width: int) -> np.ndarray:
    """Voronoi cells of points that drift: uint16 (T,H,W), ids from 1."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, (height, width), (count, 2))
    ids = np.empty((frames, height, width), np.uint16)
    rows, columns = np.mgrid[:height, :width]
    for frame in ids:
        gaps = (rows[..., None] - points[:, 0]) ** 2 + (columns[..., None] - points[:, 1]) ** 2
        frame[...] = gaps.argmin(axis=-1) + 1
        points += rng.normal(0, 1, points.shape)
    return ids


def blurred(colormap: np.ndarray, seed: int, noise: float, blur: float = 1.2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    frames = ndimage.gaussian_filter(colormap.astype(np.float32), (0, blur, blur, 0))
    frames += rng.normal(0, noise, frames.shape) + rng.normal(0, 3, (len(frames), 1, 1, 3))
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


CLIPS = {
    "one entity": (1, 3, 40, 40, 3),
    "one frame": (12, 1, 48, 65, 3),
    "odd sizes": (9, 4, 37, 53, 4),
    "many entities": (150, 3, 150, 127, 2),
    "more than a table wants": (20, 3, 131, 140, 5),
    "one row": (4, 3, 1, 90, 2),
    "mostly noise": (6, 2, 45, 50, 60),
}


@pytest.mark.parametrize("name", CLIPS)
def test_degraded_clips_have_the_ids_of_the_definition(name):
    count, frames, height, width, noise = CLIPS[name]
    ids = cells(count, count, frames, height, width)
    colormap = blurred(encode_entities(ids, np.random.default_rng(count))[0], count, noise)
    np.testing.assert_array_equal(decode_entities(colormap), plain.decode(colormap))


@pytest.mark.parametrize(
    "settings",
    [
        DecodingSettings(sure_distance=25, reach=2),
        DecodingSettings(sure_distance=2.5, tile=4, min_speck=9),
        DecodingSettings(tile=1, reach=3, min_speck=1),
        DecodingSettings(flat_gradient=3, black_distance=0, split_dip=0),
    ],
)
def test_other_settings_have_the_ids_of_the_definition(settings):
    ids = cells(15, 3, 2, 130, 129)
    ids[ids < 4] = 0
    colormap = blurred(encode_entities(ids, np.random.default_rng(3))[0], 3, 4)
    np.testing.assert_array_equal(decode_entities(colormap, settings), plain.decode(colormap, settings))


def test_known_palettes_have_the_ids_of_the_definition():
    ids = cells(15, 4, 2, 130, 129)
    colormap, colors = encode_entities(ids, np.random.default_rng(4))
    colormap = blurred(colormap, 4, 4)
    found = decode_entities(colormap, palette=colors[1:])
    np.testing.assert_array_equal(found, plain.decode_degraded(colormap, palette=colors[1:]))


@pytest.mark.parametrize("seed", range(4))
def test_pixels_get_the_colours_of_the_definition(seed, monkeypatch):
    """Colours close together and outside the range, and places where nobody is sure."""
    monkeypatch.setattr(pixel_assignment, "_TABLE_PIXELS", 0)
    rng, settings = np.random.default_rng(seed), DecodingSettings(sure_distance=(3, 8, 8, 20)[seed])
    centers = rng.uniform(-4, 259, (30, 3)).astype(np.float32)
    centers[10:20] = centers[:10] + rng.normal(0, 6, (10, 3))
    centers[5] = centers[4]
    assign, seen = PixelAssignment(settings.votes), centers
    for _ in range(2):  # the first frame's colours must be forgotten in the second
        frame = np.clip(seen[rng.integers(0, len(seen), (7, 9))] + rng.normal(0, 2, (7, 9, 3)), 0, 255)
        frame = frame.repeat(8, axis=0).repeat(7, axis=1)[:50, :61] + rng.normal(0, 6, (50, 61, 3))
        frame = np.clip(frame, 0, 255).astype(np.uint8)
        np.testing.assert_array_equal(assign(frame, centers), plain.assign(frame, centers, settings))
        centers = rng.uniform(0, 255, (30, 3)).astype(np.float32)
        seen = np.concatenate([seen, centers])


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (5, 2), (40, 33)])
@pytest.mark.parametrize("min_speck", [1, 2, 4, 7, 40])
def test_specks_go_as_in_the_definition(shape, min_speck):
    rng = np.random.default_rng(min_speck)
    for values in (2, 3, 9):
        coarse = rng.integers(0, values, (shape[0] // 4 + 1, shape[1] // 4 + 1)).repeat(4, axis=0).repeat(4, axis=1)
        labels = np.where(rng.random(shape) < 0.9, coarse[: shape[0], : shape[1]], rng.integers(0, values, shape))
        for picture in (labels, rng.integers(0, values, shape), np.zeros(shape, int)):
            before = picture.copy()
            np.testing.assert_array_equal(remove_specks(picture, min_speck), plain.remove_specks(picture, min_speck))
            np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (6, 1), (70, 45)])
def test_smoothing_is_that_of_scipy_bit_for_bit(shape):
    frame = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    expected = frame.astype(np.float32)
    for axis in (0, 1):
        expected = ndimage.uniform_filter1d(expected, 3, axis=axis, mode="nearest")
    np.testing.assert_array_equal(smooth(frame), expected)
    rows, columns = np.arange(0, shape[0], 3), np.arange(0, shape[1], 2)
    np.testing.assert_array_equal(smooth_at(frame, rows, columns), expected[::3, ::2])


@pytest.mark.parametrize("count", [1, 2, 40, 1500])
@pytest.mark.parametrize("shape", [(1, 64, 64), (3, 61, 47)])
def test_painted_clips_come_back_as_in_the_definition(count, shape):
    rng = np.random.default_rng(count)
    coarse = rng.integers(0, count + 1, (shape[0], shape[1] // 2 + 1, shape[2] // 2 + 1))
    ids = coarse.repeat(2, axis=1).repeat(2, axis=2)[:, : shape[1], : shape[2]].astype(np.uint16)
    colormap = encode_entities(ids, rng)[0]
    found, expected = decode_exact(colormap), plain.decode_exact(colormap)
    assert (found is None) == (expected is None)
    if expected is not None:
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(decode_entities(colormap), plain.decode(colormap))


def test_damage_is_told_as_in_the_definition():
    """Around the share of suspect pixels from which a colormap counts as no painted one."""
    rng = np.random.default_rng(7)
    colormap = draw_colors(6, rng)[cells(6, 7, 2, 60, 60) - 1]
    painted = set()
    for noise_share in (0.0001, 0.001, 0.01, 0.3):
        for step in (2, 20, 60):
            hit = rng.random(colormap.shape[:3]) < noise_share
            damaged = np.where(hit[..., None], np.clip(colormap.astype(int) + step, 0, 255), colormap).astype(np.uint8)
            found, expected = decode_exact(damaged), plain.decode_exact(damaged)
            painted.add(expected is not None)
            assert (found is None) == (expected is None)
            if expected is not None:
                np.testing.assert_array_equal(found, expected)
    assert painted == {False, True}


@pytest.mark.parametrize("noise", [None, 4])
def test_memory_is_that_of_a_frame(noise):
    """What decoding holds beside its input and output does not grow with the clip."""
    ids = cells(8, 1, 8, 128, 132)
    colormap = encode_entities(ids, np.random.default_rng(1))[0]
    colormap = colormap if noise is None else blurred(colormap, 1, noise)
    decode_entities(colormap[:1])  # imports what it needs
    held = []
    for repeats in (1, 3):
        clip = np.tile(colormap, (repeats, 1, 1, 1))
        tracemalloc.start()
        decoded = decode_entities(clip)
        held.append(tracemalloc.get_traced_memory()[1] - decoded.nbytes)
        tracemalloc.stop()
    assert held[1] < 1.2 * held[0] + 1e5, held
