"""The mini checkpoints that ship with the package, and where a checkpoint reference leads."""

from __future__ import annotations

import json
from pathlib import Path

_SCHEME = "mini:"
_FOLDER = Path(__file__).parent


def available() -> list[str]:
    """Names of the mini checkpoints in the package: the folders that hold a file."""
    return sorted(
        path.name for path in _FOLDER.iterdir() if path.is_dir() and path.name[0] not in "._" and any(path.iterdir())
    )


def resolve(ref: str) -> str:
    """`mini:NAME` -> the package's folder of that checkpoint; a hub id or a path is returned unchanged.

    Raises ValueError, listing what exists, when the package has no checkpoint of that name.
    """
    if not ref.startswith(_SCHEME):
        return ref
    name = ref.removeprefix(_SCHEME)
    if name not in available():
        raise ValueError(
            f"got checkpoint {ref!r}; expected one of {[_SCHEME + known for known in available()]}. "
            "Train it (`snakemake mini_checkpoints`) or name a hub id or a folder."
        )
    return str(_FOLDER / name)


def base_configs(ref: str) -> tuple[dict, dict] | None:
    """The configurations of VAE and transformer of a base checkpoint in a folder; None where they cannot be read there."""
    try:
        folder = Path(resolve(ref))
        vae, transformer = (json.loads((folder / part / "config.json").read_text()) for part in ("vae", "transformer"))
    except (OSError, ValueError):
        return None
    return vae, transformer
