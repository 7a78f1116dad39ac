"""Captions against what is in a scene, by sentences written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from udpdiff.measures.captions import NamedSolid, read_solids, score_solids, seen_solids, true_solids
from udpdiff.metrics.caption_quality import caption_figures
from udpdiff.sources.scene_captions import detailed
from udpdiff.sources.scenes import COLORS, SHAPES, SceneSettings, render_clip

BALL, CUBE = NamedSolid("ball", "red", "left"), NamedSolid("cube", "blue", "stays")


def read(text):
    return read_solids(text, SHAPES, list(COLORS))


@pytest.mark.parametrize(
    ("text", "solids"),
    [
        ("A large shiny striped red ball rolls left and a blue cube stays. The floor is grey.", [BALL, CUBE]),
        ("A cone.", [NamedSolid("cone", "", "")]),
        ("On a white floor lies nothing. The camera moves left.", []),
        ("The sky is pink. Ball and cube spins.", [NamedSolid("ball", "", ""), NamedSolid("cube", "", "spins")]),
        ("A red and green ball bounces, then slides away", [NamedSolid("ball", "green", "bounces")]),
        ("", []),
    ],
)
def test_solids_are_read_with_the_colour_before_and_the_motion_behind(text, solids):
    assert read(text) == solids


def test_a_colour_far_away_or_of_another_solid_is_not_taken():
    assert read("a red one of all these things, a ball, a green cube and a cone") == [
        NamedSolid("ball", "", ""),
        NamedSolid("cube", "green", ""),
        NamedSolid("cone", "", ""),
    ]


def test_the_source_reads_back_as_what_it_describes():
    for seed in range(20):
        scene = render_clip(SceneSettings(16, 16, 2, 8.0, max_solids=3), seed).scene
        assert read(detailed(scene)) == true_solids(scene)


@pytest.mark.parametrize(
    ("text", "right", "invented"),
    [
        ("a blue cube stays and a red ball rolls left", [[1, 1, 1], [1, 1, 1]], 0),  # in any order
        ("a red ball rolls right", [[1, 1, 0], [0, 0, 0]], 0),
        ("a red cube stays", [[0, 0, 0], [1, 0, 1]], 0),  # more of the cube than of the ball
        ("a green cone stays and a red ball", [[1, 1, 0], [0, 0, 0]], 1),
        ("a red ball, a red ball and a red ball rolls left", [[1, 1, 1], [0, 0, 0]], 2),
        ("nothing", [[0, 0, 0], [0, 0, 0]], 0),
    ],
)
def test_named_solids_are_paired_with_true_ones(text, right, invented):
    score = score_solids(read(text), [BALL, CUBE])
    np.testing.assert_array_equal(score.right, right)
    assert score.invented == invented and score.named == len(read(text))


def test_figures_of_a_caption():
    figures = caption_figures(read("a red ball rolls right, a pink cone spins"), [BALL, CUBE], [0, 1])
    assert figures == {
        "caption_inventions": 0.5,
        "caption_attributes": pytest.approx(1 / 3),
        "caption_shapes": 0.5,
        "caption_colors": 0.5,
        "caption_motions": 0.0,
        "caption_solids": 0.0,
    }
    hidden = caption_figures(read("a red ball rolls left and a blue cube"), [BALL, CUBE], [0])
    assert hidden["caption_solids"] == 1 and hidden["caption_inventions"] == 0, "a hidden cube may be named or not"
    assert caption_figures([], [BALL], []) == {}, "nothing is said, nothing was to be said"


def test_solids_of_a_few_pixels_are_not_seen():
    ids = np.ones((2, 8, 8), np.uint16)
    ids[0, 0, :6], ids[1, 0, :6] = 3, 3  # six in each frame
    ids[1, 4:7, :4] = 4
    assert seen_solids(ids, 3) == [1]
