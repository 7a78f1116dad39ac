"""Files that appear whole or not at all, and stay through a power cut: written beside their place, synced, renamed.

Every file and folder of results goes through here. Knows nothing of what they hold.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_READ = (".bin", ".json", ".model", ".safetensors", ".txt")  # of a model's folder, by who loads it


def staging_path(path: Path, kind: str) -> Path:
    """Return the hidden name beside `path` under which it grows; kind tells several of them apart."""
    return path.with_name(f".{path.name}.{kind}")


@contextmanager
def replaced_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a hidden name to write to, which takes the place of `path` on a clean exit and goes on an error.

    Args:
        path: Its folder is made if it is missing.

    Raises:
        OSError: The file cannot be written; an old one stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = staging_path(path, "writing")
    try:
        yield staging
        publish(staging, path)
    except BaseException:
        staging.unlink(missing_ok=True)
        raise


def publish(staging: Path, path: Path) -> None:
    """Bring a finished file or folder to the disk and rename it, an old file of that name being replaced."""
    fsync(staging)
    os.replace(staging, path)
    fsync(path.parent)


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Return the sha256 (hex) of a file's content, read piece by piece."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pinned_file(ref: str, scheme: str, what: str, caution: str) -> tuple[Path, str]:
    """Return the file that a reference such as `i3d:FILE#SHA256` names, and its digest, once it is the one named.

    Args:
        ref: As the configuration has it.
        scheme: Its beginning, `i3d:`.
        what: The file should be, for the message.
        caution: What to do before its own digest is named, a sentence's beginning.

    Raises:
        ValueError: There is no such file, no digest is named (the message says the file's own), or it is another one.
    """
    place, _, wanted = ref.removeprefix(scheme).partition("#")
    path = Path(place)
    if not path.is_file():
        raise ValueError(f"{ref}: no file {place}; expected {scheme}FILE#SHA256 with {what} in FILE.")
    digest = file_sha256(path)
    if wanted.lower() != digest:
        raise ValueError(
            f"{scheme}{place} has SHA-256 {digest}, expected {wanted or 'one to be named'}. {caution}, then write "
            f"{scheme}{place}#{digest}."
        )
    return path, digest


def model_digest(folder: str | os.PathLike[str], parts: tuple[str, ...]) -> str:
    """Return the sha256 (hex) of some subfolders and files of a folder: names and content of what a model is read from."""
    total = hashlib.sha256()
    for part in parts:
        place = Path(folder, part)
        for path in sorted(place.iterdir()) if place.is_dir() else [place]:
            if path.suffix in _READ:
                name = path.relative_to(folder).as_posix()
                total.update(f"{name}\0{file_sha256(path)}\0".encode())
    return total.hexdigest()


def fsync(path: Path) -> None:
    """Flush a file, or a folder's entries, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
