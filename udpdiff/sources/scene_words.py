"""The words that captions of rendered scenes have: all that a mini model has ever read."""

from __future__ import annotations

import re

from udpdiff.sources.scenes import COLORS, GROUNDS, SHAPES

_OTHERS = """
a an and the is on one two three four five six more solid solids follow follows floor backdrop camera
large small shiny striped checkered spotted rolls slides stays spins bounces moves
left right away closer in out still sky sunset wall night
"""
WORDS = frozenset((*_OTHERS.split(), *SHAPES, *COLORS, *GROUNDS))


def unknown_words(text: str) -> list[str]:
    """Return the words of a text that no such caption has, each once, in their order."""
    found = re.findall(r"\w+(?:['-]\w+)*", text)
    return list(dict.fromkeys(word for word in found if word.lower() not in WORDS))
