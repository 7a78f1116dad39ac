"""The words of scenes are those that mini models were trained on."""

from __future__ import annotations

import json

from udpdiff.checkpoints import resolve
from udpdiff.sources.scene_captions import detailed
from udpdiff.sources.scene_words import EXAMPLE, WORDS, lacks_solids_or_floor, unknown_words
from udpdiff.sources.scenes import SceneSettings, render_clip


def test_they_are_the_words_that_the_mini_tokenizer_was_counted_from():
    with open(f"{resolve('mini:cogvideox')}/tokenizer/tokenizer.json") as file:
        pieces = json.load(file)["model"]["vocab"]
    # Words that no caption had stand behind all that were counted, at a tenth of the rarest's share.
    counted = {piece[1:].lower() for piece, score in pieces[3:] if piece[0] == "\u2581" and score > -14}
    assert counted <= WORDS and WORDS - counted <= {"four", "five", "six"}


def test_unknown_words_are_each_named_once():
    assert unknown_words("A red ball rolls left on a grey floor.") == []
    assert unknown_words("A Panda's drum; a panda-bear, 2 balls. Panda's!") == [
        "Panda's",
        "drum",
        "panda-bear",
        "2",
        "balls",
    ]


def test_the_example_is_a_caption():
    plain = {"pattern": "plain", "shiny": False}
    ball = {"size": "large", "color": "red", "shape": "ball", "action": "moves", "heading": "left"}
    cube = {"size": "small", "color": "blue", "shape": "cube", "action": "stays"}
    ground = {"pattern": "plain", "color": "grassy"}
    scene = {"solids": [ball | plain, cube | plain], "ground": ground, "backdrop": "blue", "camera": "still"}
    assert detailed(scene) == EXAMPLE


def test_captions_alone_have_two_solids_and_a_floor():
    settings = SceneSettings(16, 16, 2, 8)
    for clip in (render_clip(settings, seed) for seed in range(8)):
        assert not lacks_solids_or_floor(clip.brief) and not lacks_solids_or_floor(clip.detailed)
    for text in ("A blue cube spins", "A large blue cube spins. The floor is grey.", "A red ball and a blue cube."):
        assert lacks_solids_or_floor(text)
