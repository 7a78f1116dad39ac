"""Other pictures of scenes, which the base model learns from."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.mini.pictures import drawings, heat_maps, outlines
from udpdiff.mini.scenes import DEFAULT_SCENES, Scenes
from udpdiff.representations.spectral import decode_depth
from udpdiff.sources.scenes import render_clip


@pytest.fixture(scope="module")
def seen() -> Scenes:
    return Scenes.stack([render_clip(DEFAULT_SCENES, seed) for seed in (0, 1)])


def test_a_drawing_has_one_colour_for_an_entity(seen):
    drawn = drawings(seen, np.random.default_rng(0))
    assert drawn.video.shape == seen.video.shape and drawn.video.dtype == np.uint8
    for picture, entity_ids in zip(drawn.video, seen.entity_ids, strict=True):
        colors = [np.unique(picture[entity_ids == entity], axis=0) for entity in np.unique(entity_ids)]
        assert [len(color) for color in colors] == [1] * len(colors)
        assert len(np.unique(np.concatenate(colors), axis=0)) > 1
    assert drawn.brief == [f"Drawing: {caption}" for caption in seen.brief]


def test_a_heat_map_shows_depth(seen):
    shown = heat_maps(seen)
    assert np.abs(decode_depth(shown.video) - seen.depth / np.float32(255)).max() <= 0.01
    assert shown.detailed[0].startswith("Heat map: ")


def test_outlines_lie_where_entities_meet(seen):
    shown = outlines(seen, np.random.default_rng(0))
    for picture, entity_ids in zip(shown.video, seen.entity_ids, strict=True):
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 2
        inside, beside = picture[:, 1:-1, 1:-1], entity_ids[:, 1:-1, 1:-1]
        meets = (beside != entity_ids[:, 2:, 1:-1]) | (beside != entity_ids[:, 1:-1, 2:])
        assert len(np.unique(inside[meets], axis=0)) == len(np.unique(inside[~meets], axis=0)) == 1
    assert shown.detailed[0].startswith("Outlines: ")
