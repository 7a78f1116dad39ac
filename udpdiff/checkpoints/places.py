"""Names of checkpoints that are the same on every machine, and where each lies on this one.

A folder of the user's is called by its name and a digest of its content, `folder:NAME#DIGEST`, so that what was made with it
stays valid when the folder moves; a file, whose reference names its digest already, by its name alone. The
workflow tells its jobs by one environment variable where these are, and where it keeps the records of fetched checkpoints.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from udpdiff.content_digests import folder_digest

VARIABLE = "CHECKPOINTS"
FOLDER = "folder:"
OF_FILES = ("i3d:", "raft:")  # schemes of files, whose references name a digest


def name_of(reference: str) -> str:
    """Return what a reference to a place of this machine is called everywhere; any other reference as it is.

    Args:
        reference: An existing folder, `i3d:FILE#SHA256`, `raft:FILE#SHA256`, or anything else.
    """
    for scheme in OF_FILES:
        if reference.startswith(scheme):
            place, mark, digest = reference.removeprefix(scheme).partition("#")
            return f"{scheme}{Path(place).name}{mark}{digest}"
    folder = Path(reference)
    return f"{FOLDER}{folder.resolve().name}#{folder_digest(folder)}" if folder.is_dir() else reference


def place_of(name: str) -> str:
    """Return the reference that a name stands for on this machine; any other reference as it is.

    Raises:
        ValueError: A folder's name that no workflow has told the place of.
    """
    place = _told()["places"].get(name, name)
    if place.startswith(FOLDER):
        raise ValueError(
            f"got checkpoint {name!r}, the name that a workflow gave a folder of its machine; expected the folder itself, "
            "or jobs started by that workflow"
        )
    return place


def tell(places: dict[str, str], records: Path) -> str:
    """Make places and the folder of records known to this process and those that it starts; returns the variable's value."""
    os.environ[VARIABLE] = json.dumps({"places": places, "records": str(records)})
    return os.environ[VARIABLE]


def records() -> Path | None:
    """Return the folder of records of fetched checkpoints; None outside a workflow."""
    folder = _told()["records"]
    return Path(folder) if folder else None


def _told() -> dict:
    return json.loads(os.environ.get(VARIABLE, "null")) or {"places": {}, "records": None}
