"""The words of scenes are those that mini models were trained on."""

from __future__ import annotations

import json

from udpdiff.checkpoints import resolve
from udpdiff.sources.scene_words import WORDS, unknown_words


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
