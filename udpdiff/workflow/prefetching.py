"""Which checkpoints of the hub a configuration names, what is read of each, and where the record of each stands."""

from __future__ import annotations

from fnmatch import fnmatchcase

from udpdiff.checkpoints import hub
from udpdiff.config.layers import CHECKPOINTS, strings_at
from udpdiff.config.schema import Config

FOLDER = "results/checkpoints"
CHECKED = f"{FOLDER}/checked.json"
_PARTS = {
    "model.base": hub.BASE,
    "models.*.checkpoint": hub.MODEL,
    "labels.tracker.checkpoint": hub.SAM2,
    "labels.depth.*.base": hub.STABLE_VIDEO,
}


Named = dict[str, tuple[str, tuple[str, ...]]]


def named(config: Config) -> Named:
    """Return key of the configuration -> (reference, what is read of it), for all references to the hub."""
    sections, found = config.model_dump(), {}
    for pattern in CHECKPOINTS:
        for section, name, reference, key in strings_at(sections, sections, pattern):
            if hub.split(reference):
                whole = name == "checkpoint" and section.get("model") == "depthcrafter" and not section["base"]
                found[key] = (reference, ("unet", *hub.STABLE_VIDEO) if whole else _PARTS.get(pattern, hub.TOP))
    return found


def wanted(checkpoints: Named) -> dict[str, tuple[str, ...]]:
    """Return reference -> what is read of it by any key."""
    found: dict[str, set[str]] = {}
    for reference, parts in checkpoints.values():
        found.setdefault(reference, set()).update(parts)
    return {reference: tuple(sorted(parts)) for reference, parts in found.items()}


def records(checkpoints: Named, *keys: str) -> list[str]:
    """Return the records of the checkpoints under some keys: what jobs that load them wait for, and depend on.

    Args:
        keys: With * for any name; none for all.
    """
    references = [
        reference
        for key, (reference, _) in checkpoints.items()
        if not keys or any(fnmatchcase(key, each) for each in keys)
    ]
    return [f"{FOLDER}/{hub.record_name(reference)}.json" for reference in dict.fromkeys(references)]
