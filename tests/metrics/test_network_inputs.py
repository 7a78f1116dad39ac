"""Frames as the encoders of the metrics see them: whose normalisation, which size, which resize, which frames."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers.image_utils import (
    IMAGENET_DEFAULT_MEAN,
    IMAGENET_DEFAULT_STD,
    OPENAI_CLIP_MEAN,
    OPENAI_CLIP_STD,
)

from udpdiff import pixel_statistics
from udpdiff.metrics import preprocessing
from udpdiff.metrics.features import ImageEncoder, SubjectEncoder
from udpdiff.metrics.video_encoders import VideoMAE


class Network(SimpleNamespace):
    """Stands for a network of which only the configuration is read."""

    def __init__(self, size: int) -> None:
        super().__init__(
            config=SimpleNamespace(image_size=size, num_frames=4, vision_config=SimpleNamespace(image_size=size)),
            device="cpu",
        )

    def eval(self):
        return self


def normalised(levels, mean, std):
    return (np.array(levels) / 255 - np.array(mean)) / np.array(std)


@pytest.mark.parametrize(
    ("encoder", "size", "mean", "std"),
    [
        (ImageEncoder(Network(8), "clip"), (8, 8), OPENAI_CLIP_MEAN, OPENAI_CLIP_STD),  # the middle of it
        (SubjectEncoder(Network(8), "dino"), (8, 16), IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD),
    ],
)
def test_each_encoder_has_its_own_normalisation_and_size(encoder, size, mean, std):
    frames = torch.tensor([10.0, 100.0, 200.0])[None, :, None, None].expand(2, 3, 24, 48)
    pixels = encoder.prepare(frames)
    assert pixels.shape == (2, 3, *size)
    expected = torch.tensor(normalised([10, 100, 200], mean, std)).float()[None, :, None, None]
    torch.testing.assert_close(pixels, expected.expand_as(pixels), atol=1e-4, rtol=0)


def test_videos_are_squashed_and_sampled_at_evenly_spread_frames():
    video = np.zeros((10, 24, 48, 3), np.uint8)
    video[:] = 10 * np.arange(10, dtype=np.uint8)[:, None, None, None]
    pixels = VideoMAE(Network(8), "video").prepare(video)
    assert pixels.shape == (4, 3, 8, 8)
    for channel in range(3):
        mean, std = IMAGENET_DEFAULT_MEAN[channel], IMAGENET_DEFAULT_STD[channel]
        np.testing.assert_allclose(pixels[:, channel, 0, 0], normalised([0, 30, 60, 90], mean, std), atol=1e-5)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_resizes_look_at_neighbours_alone(mode):
    """Every eighth column is bright, and between the samples: a filter against aliasing would see it."""
    frames = torch.zeros(1, 3, 32, 64)
    frames[..., ::8] = 255
    small = preprocessing.resize_short_side(frames, 4, mode)
    assert small.shape == (1, 3, 4, 8) and small.abs().max() < 1e-3


def test_the_middle_is_cut_out_and_an_odd_rest_rounds_to_even():
    frames = torch.arange(7.0).expand(1, 3, 9, 7)
    cut = preprocessing.centre_crop(frames, 4)
    assert cut.shape == (1, 3, 4, 4) and cut[0, 0, 0].tolist() == [2, 3, 4, 5]


def test_statistics_of_colours_are_the_librarys_and_are_written_once():
    library = (IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD)
    own = (
        pixel_statistics.IMAGENET_MEAN,
        pixel_statistics.IMAGENET_STD,
        pixel_statistics.CLIP_MEAN,
        pixel_statistics.CLIP_STD,
    )
    assert [list(each) for each in own] == [list(each) for each in library]
    sources = {path: path.read_text() for path in Path(pixel_statistics.__file__).parent.rglob("*.py")}
    for numbers in own:
        assert [path.name for path, text in sources.items() if str(numbers) in text] == ["pixel_statistics.py"]
