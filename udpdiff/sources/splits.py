"""Which clips train and which evaluate, and which shard each belongs to.

The two never share a source video. Pure functions of names, for the workflow calls them at every parse: they read no
file and import nothing heavy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

from udpdiff.clip import SPLITS

Clip = TypeVar("Clip")


def split_sources(source_ids: Iterable[str], evaluation: int | float, seed: int) -> dict[str, str]:
    """Choose the evaluation sources at random, all others train; repeated ids count once.

    The choice depends on the set of sources and the seed alone, not on their order or on how many clips each has; adding
    a source moves at most one other to the other split.

    Args:
        source_ids: Of all clips.
        evaluation: A number of sources (int) or a share of them (float in (0,1), at least one source each side).
        seed: Of the choice.

    Returns:
        Source -> 'train' or 'evaluation', in sorted order.

    Raises:
        ValueError: A split would be empty.
    """
    sources = sorted(set(source_ids))
    if isinstance(evaluation, float):
        if not 0 < evaluation < 1:
            raise ValueError(f"evaluation: got share {evaluation}; expected a share between 0 and 1, or a whole number")
        evaluation = min(max(1, round(evaluation * len(sources))), len(sources) - 1)
    if not 0 < evaluation < len(sources):
        raise ValueError(
            f"evaluation: got {evaluation} of {len(sources)} source videos; "
            "both splits need at least one: add videos, change the number, or name other sources in a column `source` of the "
            "csv of captions"
        )
    train, evaluate = SPLITS
    # Ranking by hash, not shuffling: a new source finds its own rank and leaves the order of the others alone.
    chosen = set(sorted(sources, key=lambda source: rank(source, seed))[:evaluation])
    return {source: evaluate if source in chosen else train for source in sources}


def assign_shards(clips: Sequence[Clip], shard_clips: int) -> list[list[Clip]]:
    """Cut the clips of one split into consecutive shards of `shard_clips`, the last one possibly smaller."""
    if shard_clips < 1:
        raise ValueError(f"shard_clips: got {shard_clips}; expected at least 1 clip per shard")
    return [list(clips[first : first + shard_clips]) for first in range(0, len(clips), shard_clips)]


def rank(source: str, seed: int) -> bytes:
    """Return where a name stands in a random order of all names there can be."""
    # A file name need not be valid UTF-8; Python then carries surrogates.
    return hashlib.sha256(f"{seed}:{source}".encode("utf-8", "surrogatepass")).digest()
