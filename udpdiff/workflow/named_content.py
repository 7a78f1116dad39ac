"""Digests of mini checkpoints and plug-ins, whose content may change while their name in the configuration stays.

Folders of the user's, torchscript files and commits of the hub are told by their names, see `checkpoints.places` and `hub`.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path

from udpdiff import checkpoints, plugins
from udpdiff.config.layers import CHECKPOINTS, strings_at
from udpdiff.config.schema import Config
from udpdiff.content_digests import folder_digest

_NAMES = (*CHECKPOINTS, "metrics.interpolator")


def named_content(config: Config, *keys: str) -> str:
    """Return digests of what lies behind the names under some keys, in words; empty where the names tell all.

    Args:
        config: The checked configuration.
        keys: Dotted, with * for any name.
    """
    sections, found = config.model_dump(), {}
    for pattern in _NAMES:
        for _, _, reference, key in strings_at(sections, sections, pattern):
            if any(fnmatchcase(key, each) for each in keys) and (content := _content(reference)):
                found[reference] = content
    return " ".join(f"{reference}#{content}" for reference, content in sorted(found.items()))


@lru_cache
def _content(reference: str) -> str | None:
    """The digest of a mini checkpoint or of a plug-in's module; None for others, and where it cannot be found."""
    if reference.startswith("mini:"):
        return folder_digest(Path(checkpoints.resolve(reference)))
    source = plugins.source(reference) if reference.startswith("plugin:") else None
    return folder_digest(source) if source else None
