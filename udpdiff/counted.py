"""Numbers of things in sentences."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Return a number of things: "1 clip", "1,200 clips"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
