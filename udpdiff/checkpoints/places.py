"""Names of checkpoints that hold on every machine, and where each lies on this one.

A folder of the user's is called by its name and a digest of its content, `folder:NAME#DIGEST`, so that what was made with it
stays valid when the folder moves; a torchscript file, whose reference names its digest already, by its name alone. The
workflow tells its jobs by one environment variable where these are, and where it keeps the records of fetched checkpoints.
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path

VARIABLE = "CHECKPOINTS"
_FOLDER, _I3D = "folder:", "i3d:"
_SMALL_BYTES = 1 << 20
_END_BYTES = 1 << 16


def name_of(reference: str) -> str:
    """Return what a reference to a place of this machine is called everywhere; any other reference as it is.

    Args:
        reference: An existing folder, `i3d:FILE#SHA256`, or anything else.
    """
    if reference.startswith(_I3D):
        place, mark, digest = reference.removeprefix(_I3D).partition("#")
        return f"{_I3D}{Path(place).name}{mark}{digest}"
    folder = Path(reference)
    return f"{_FOLDER}{folder.resolve().name}#{_quick_digest(folder)}" if folder.is_dir() else reference


def place_of(name: str) -> str:
    """Return the reference that a name stands for on this machine; any other reference as it is.

    Raises:
        ValueError: A folder's name that no workflow has told the place of.
    """
    place = _told()["places"].get(name, name)
    if place.startswith(_FOLDER):
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


@lru_cache
def _quick_digest(folder: Path) -> str:
    """Return 12 hex digits of names and sizes, of small files' content, and of both ends of big ones.

    Gigabytes are not read, since every start of the workflow asks. A training still knows its base by all its bytes.
    """
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        size = path.stat().st_size
        with path.open("rb") as file:
            content = file.read(_SMALL_BYTES if size <= _SMALL_BYTES else _END_BYTES)
            if size > _SMALL_BYTES:
                file.seek(-_END_BYTES, os.SEEK_END)
                content += file.read()
        total.update(f"{path.relative_to(folder).as_posix()}\0{size}\0".encode() + hashlib.sha256(content).digest())
    return total.hexdigest()[:12]
