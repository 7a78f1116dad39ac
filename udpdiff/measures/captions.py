"""How right a caption is about the solids of a scene: which it names, with which shape, colour and motion.

Reads plain words, in the way that the scenes' own captions name solids: the colour in front of the shape, the motion
behind it. Synonyms are not known, so a captioner with other words is scored lower than it deserves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from udpdiff.clip import FIRST_SOLID_ID

ACTIONS, HEADINGS = ("stays", "spins", "bounces"), ("left", "right", "away", "closer")
_MOTIONS = (*ACTIONS, *HEADINGS)
MIN_SEEN_PIXELS = 12  # of a solid, in one frame at least
_SENTENCE = re.compile(r"[.!?]+")
_WORDS_BEFORE = 4  # a shape that may hold its colour


class NamedSolid(NamedTuple):
    """A solid as a caption names it, or as it is; "" for what is not said."""

    shape: str
    color: str
    motion: str


class CaptionScore(NamedTuple):
    """What a caption says of a scene's solids.

    Attributes:
        right: bool (solids, 3): whether shape, colour and motion of each true solid are said.
        invented: Solids that are named and not there.
        named: Solids that are named.
    """

    right: np.ndarray
    invented: int
    named: int


def read_solids(text: str, shapes: Sequence[str], colors: Sequence[str]) -> list[NamedSolid]:
    """Return the solids that a caption names, in its order."""
    found = []
    for sentence in _SENTENCE.split(text.casefold()):
        words = re.findall(r"\w+", sentence)
        places = [index for index, word in enumerate(words) if word in shapes]
        for place, before, after in zip(places, [-1, *places], [*places[1:], len(words)], strict=False):
            look = words[max(before + 1, place - _WORDS_BEFORE) : place]
            color = next((word for word in reversed(look) if word in colors), "")
            motion = next((word for word in words[place + 1 : after] if word in _MOTIONS), "")
            found.append(NamedSolid(words[place], color, motion))
    return found


def true_solids(scene: Mapping) -> list[NamedSolid]:
    """Return the solids of a scene's description."""
    return [
        NamedSolid(solid["shape"], solid["color"], solid["heading"] or solid["action"]) for solid in scene["solids"]
    ]


def seen_solids(entity_ids: np.ndarray, num_solids: int) -> list[int]:
    """Return the indices of the solids that a clip shows, from true ids uint16 (T, H, W)."""
    last = FIRST_SOLID_ID + num_solids
    pixels = np.stack([np.bincount(ids.ravel(), minlength=last)[FIRST_SOLID_ID:last] for ids in entity_ids])
    return np.flatnonzero(pixels.max(0) >= MIN_SEEN_PIXELS).tolist()


def score_solids(named: Sequence[NamedSolid], true: Sequence[NamedSolid]) -> CaptionScore:
    """Pair the named solids with the true ones so that as much as possible agrees, and count.

    A pair needs the same shape or the same colour: a named solid without such a partner is invented, a true one missed,
    with all that there is to say of it.
    """
    from scipy.optimize import linear_sum_assignment

    right = np.zeros((len(true), len(NamedSolid._fields)), bool)
    if not named or not true:
        return CaptionScore(right, len(named), len(named))
    agree = np.array([[[a == b for a, b in zip(said, solid, strict=True)] for solid in true] for said in named])
    paired = agree[..., :2].any(-1)
    rows, columns = linear_sum_assignment(paired * (1 + agree.sum(-1)), maximize=True)
    kept = paired[rows, columns]
    right[columns[kept]] = agree[rows[kept], columns[kept]]
    return CaptionScore(right, len(named) - int(kept.sum()), len(named))
