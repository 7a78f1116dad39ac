"""What a clip is, and the conventions that every stage shares: array meanings, depth direction, reasons of rejection.

- `video`: uint8 (T,H,W,3) RGB.
- `entity_ids`: uint16 (T,H,W), 0 = none; every visible surface is an entity, ground and backdrop too.
- `depth`: float32 (T,H,W) in [0,1], disparity-like and normalised per clip: 1 = nearest, 0 = farthest.
- `z`: float32 (T,H,W), metric distance along the viewing axis; only the truth of rendered scenes has it.
- `colormap`: uint8 (T,H,W,3), the picture of a dense prediction.
"""

from __future__ import annotations

from enum import StrEnum

# Entity ids of a rendered scene; solids count up from the last.
GROUND_ID, BACKDROP_ID, FIRST_SOLID_ID = 1, 2, 3

SPLITS = ("train", "evaluation")


class Rejection(StrEnum):
    """Why a clip was left out; a stored reason starts with one of these, details may follow after a colon."""

    UNREADABLE = "unreadable"
    EMPTY_FILE = "empty file"
    NO_VIDEO = "no video stream"
    TOO_SHORT = "too short"
    BROKEN = "broken"
    DEAD_LINK = "dead link"
    PRIVATE = "private video"
    NOT_FETCHED = "not fetched"
    THROTTLED = "throttled"
    NO_CAPTION = "no caption"
    BLURRED = "blurred"
    TOO_DARK = "too dark"
    CLIPPED = "badly exposed"
    LETTERBOX = "letterbox"
    TOO_STILL = "too still"
    SCENE_CUT = "scene cut"
    LOW_COVERAGE = "low coverage"
    NO_ENTITIES = "no entities"
    EMPTY_CAPTION = "empty caption"
    LOOPING_CAPTION = "looping caption"
    FAILED = "failed"

    def because(self, details: str) -> str:
        """The reason with its details, as it is stored and shown: 'too short: 0.8 s, 1.1 s needed'."""
        return f"{self.value}: {details}"


class RejectedClip(Exception):
    """A clip that cannot be used, with the reason a person reads; never a reason to stop a run."""

    def __init__(self, reason: Rejection, details: str = "") -> None:
        self.reason = reason
        super().__init__(reason.because(details) if details else reason.value)
