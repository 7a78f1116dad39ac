"""The words that captions of rendered scenes have: all that a mini model has ever read."""

from __future__ import annotations

import re

from udpdiff.sources.scenes import COLORS, GROUNDS, SHAPES

# Of a scene, by what they say.
KINDS = {
    "solids": " ".join(SHAPES),
    "looks": f"{' '.join(COLORS)}; large small; shiny; striped checkered spotted",
    "motions": "rolls slides left right away closer; stays spins bounces",
    "floor": " ".join(GROUNDS),
    "backdrop": "blue sky, a sunset, a grey wall, a night sky",
    "camera": "is still, moves left right in out",
}
# As `scene_captions.detailed` writes.
EXAMPLE = "A large red ball rolls left and a small blue cube stays. The floor is grassy, the backdrop blue sky. The camera is still."
_OTHERS = "a an and the is on one two three four five six more solid solids follow follows"
_WORD = re.compile(r"\w+(?:['-]\w+)*")
WORDS = frozenset(_WORD.findall(" ".join((_OTHERS, *KINDS, *KINDS.values())))) - {"looks", "motions"}


def unknown_words(text: str) -> list[str]:
    """Return the words of a text that no such caption has, each once, in their order."""
    return list(dict.fromkeys(word for word in _WORD.findall(text) if word.lower() not in WORDS))


def lacks_solids_or_floor(text: str) -> bool:
    """Whether a text names fewer than two solids, or no floor: every such caption has both, as scenes are rendered."""
    words = [word.lower() for word in _WORD.findall(text)]
    return sum(word in (*SHAPES, "solid", "solids") for word in words) < 2 or "floor" not in words
