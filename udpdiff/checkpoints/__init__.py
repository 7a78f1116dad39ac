"""The mini checkpoints that ship with the package, and where a checkpoint reference leads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from udpdiff.checkpoints.hub import TOP, folder_of, split
from udpdiff.checkpoints.places import place_of
from udpdiff.content_digests import content_digests
from udpdiff.storage.errors import StorageError
from udpdiff.storage.sealed import DIGESTS, check_folder, read_record

_SCHEME = "mini:"
_FOLDER = Path(__file__).parent


def available() -> list[str]:
    """Names of the mini checkpoints in the package: the folders that hold a file."""
    return sorted(
        path.name for path in _FOLDER.iterdir() if path.is_dir() and path.name[0] not in "._" and any(path.iterdir())
    )


def resolve(ref: str) -> str:
    """`mini:NAME` -> the package's folder of that checkpoint; a hub id or a path is returned unchanged.

    A folder's name of the workflow that started this process leads to the folder (see `checkpoints.places`).

    Raises ValueError, listing what exists, when the package has no checkpoint of that name.
    """
    ref = place_of(ref)
    if not ref.startswith(_SCHEME):
        return ref
    name = ref.removeprefix(_SCHEME)
    if name not in available():
        raise ValueError(
            f"got checkpoint {ref!r}; expected one of {[_SCHEME + known for known in available()]}. "
            "Train it (`snakemake --cores all mini_checkpoints`) or name a hub id or a folder."
        )
    return str(_FOLDER / name)


def local_folder(ref: str, parts: Sequence[str] = TOP) -> str:
    """Return the folder of a checkpoint, given by any reference; from the hub what is read of it is fetched.

    Args:
        ref: `mini:NAME`, a folder, a hub id, or `ID@REVISION`.
        parts: What is read of a repository, see `checkpoints.hub`.

    Raises:
        ValueError: There is no such mini checkpoint, or, offline, none such in the hub's cache.
        StorageError: The weights of a mini checkpoint are damaged.
    """
    place = resolve(ref)
    if Path(place).parent == _FOLDER:
        _check_shipped(Path(place).name)
    return folder_of(place, parts) if split(place) and not Path(place).is_dir() else place


def shipped_digests(ref: str) -> dict[str, str]:
    """Return file -> sha256 of the weights of a mini checkpoint, as the package lists them; {} for any other reference."""
    name = f"{ref.removeprefix(_SCHEME)}/"
    listed = read_record(_FOLDER / DIGESTS)["files"] if ref.startswith(_SCHEME) else {}
    return {file.removeprefix(name): digest for file, digest in listed.items() if file.startswith(name)}


def weights_sha256(ref: str, parts: Sequence[str] = TOP) -> str | None:
    """Return the sha256 of a checkpoint's weights; of several files, that of their digests. None where there are none.

    Args:
        ref: By any reference; `i3d:FILE#SHA256` says it itself. Weights at the top of the folder count, and only where
            there are none those below it.
        parts: As of `local_folder`.
    """
    if ref.startswith("i3d:"):
        return ref.partition("#")[2].lower()
    folder = Path(local_folder(ref, parts))
    kinds = [pattern for place in ("", "**/") for pattern in (f"{place}*.safetensors", f"{place}*.bin", f"{place}*.pt")]
    digests = content_digests(next((found for kind in kinds if (found := sorted(folder.glob(kind)))), []))
    if len(digests) < 2:
        return digests[0] if digests else None
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _check_shipped(name: str) -> None:
    """Compare the weights of a mini checkpoint with `digests.json`, which `seal_folder(FOLDER, "*.safetensors")` writes."""
    try:
        check_folder(_FOLDER, [name])
    except StorageError as error:
        raise StorageError(
            f"{_SCHEME}{name}: a file in {_FOLDER / name} is not what the package brought. Install the package again, or in a"
            " clone: git checkout -- udpdiff/checkpoints."
        ) from error


def base_configs(ref: str) -> tuple[dict, dict] | None:
    """The configurations of VAE and transformer of a base checkpoint in a folder; None where they cannot be read there."""
    try:
        folder = Path(resolve(ref))
        vae, transformer = (json.loads((folder / part / "config.json").read_text()) for part in ("vae", "transformer"))
    except (OSError, ValueError):
        return None
    return vae, transformer
