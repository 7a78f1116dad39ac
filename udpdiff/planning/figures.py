"""A planned number with what it rests on: measured here, cited from a source, or counted from shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Origin = Literal["measured", "cited", "counted"]


@dataclass(frozen=True)
class Memory:
    """Bytes that one process holds at its peak, and how that is known.

    Attributes:
        bytes: Of one process.
        origin: measured, cited or counted.
        basis: The same in words.
    """

    bytes: float
    origin: Origin
    basis: str

    @property
    def gb(self) -> float:
        return self.bytes / 1e9
