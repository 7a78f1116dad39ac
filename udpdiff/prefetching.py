"""Which checkpoints of the hub a configuration names, what is read of each, and where the record of each stands."""

from __future__ import annotations

from fnmatch import fnmatchcase

from udpdiff.checkpoints import hub
from udpdiff.config import Config
from udpdiff.config_layers import CHECKPOINTS, strings_at

FOLDER = "results/checkpoints"
CHECKED = f"{FOLDER}/checked.json"
_PARTS = {"model.base": hub.BASE, "labels.tracker.checkpoint": hub.SAM2, "labels.depth.*.base": hub.STABLE_VIDEO}


def wanted(config: Config, *keys: str) -> dict[str, tuple[str, ...]]:
    """Return reference -> what is read of it, for the references to the hub under some keys.

    Args:
        keys: Dotted, with * for any name; none for all that name a checkpoint.
    """
    sections, found = config.model_dump(), {}
    for pattern in CHECKPOINTS:
        for section, name, reference, key in strings_at(sections, sections, pattern):
            if hub.split(reference) and (not keys or any(fnmatchcase(key, each) for each in keys)):
                parts = _PARTS.get(pattern, hub.TOP)
                if name == "checkpoint" and section.get("model") == "depthcrafter" and not section["base"]:
                    parts = ("unet", *hub.STABLE_VIDEO)
                found.setdefault(reference, set()).update(parts)
    return {reference: tuple(sorted(parts)) for reference, parts in found.items()}


def records(config: Config, *keys: str) -> list[str]:
    """Return the records of the checkpoints under some keys: what jobs that load them wait for, and depend on."""
    return [f"{FOLDER}/{hub.record_name(reference)}.json" for reference in wanted(config, *keys)]
