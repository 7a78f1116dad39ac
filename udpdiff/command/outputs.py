"""The folder that a command writes into: what in it may be replaced, and the settings that stand beside its files.

settings.json is written last, so that where it stands it says of all the files beside it how they were made. The same
request may be made again; another one does not replace what an earlier one made, unless the user says so.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from udpdiff.storage.errors import writing
from udpdiff.storage.files import write_json

SETTINGS = "settings.json"
_FRAME = re.compile(r"\d{4,}\.png")


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--overwrite", action="store_true", help="replace what a request with other settings left in the folder"
    )


@dataclass(frozen=True)
class Outputs:
    """What a command writes into a folder.

    Attributes:
        folder: To write into.
        names: Of arrays over time, each `NAME.mp4`, `NAME.npy` or a folder `NAME` of frames.
        others: Further files.
        request: `command`, `settings` and, where there is one, the `model`; json-able.
    """

    folder: Path
    names: Sequence[str]
    others: Sequence[str]
    request: Mapping[str, Any]

    def check(self, formats: Sequence[str], overwrite: bool) -> None:
        """Refuse, before anything is loaded, a place that cannot be written into, or whose files are not to be replaced.

        Args:
            formats: To write, of `written.FORMATS`.
            overwrite: The user wants earlier outputs replaced.

        Raises:
            ValueError: It is a file, or cannot be written into; a folder that frames would replace holds anything else; or
                outputs stand there that were made of another request.
        """
        if os.path.exists(self.folder) and not os.path.isdir(self.folder):
            raise ValueError(
                f"--out: got {str(self.folder)!r}, which is a file; expected a folder, or a name that is free"
            )
        probe(self.folder)
        for name in self.names if "png" in formats else ():
            other = next((path for path in _entries(self.folder / name) if not _FRAME.fullmatch(path.name)), None)
            if other:
                raise ValueError(
                    f"--out: {other} would go, since frames replace the folder {self.folder / name}; name another --out"
                )
        there = self._there()
        if there and not overwrite and (difference := self._difference()):
            raise ValueError(
                f"--out: {there[0]} is there already, {difference}; name another --out, or replace it by --overwrite"
            )

    def clear(self) -> None:
        """Remove what an earlier request left, its settings first, so that they never stand beside files of another.

        Raises:
            StorageError: It cannot be removed.
        """
        with writing(self.folder):
            for path in (self.folder / SETTINGS, *self._there()):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def seal(self, made: Sequence[Path], run: Mapping[str, Any]) -> Path:
        """Write the request beside the files that were made of it; returns the file.

        Args:
            made: The files.
            run: What the request does not say: versions, device, networks.

        Raises:
            StorageError: It cannot be written.
        """
        files = sorted(path.relative_to(self.folder).as_posix() for path in made)
        write_json(self.folder / SETTINGS, {**self.request, "files": files, "provenance": run})
        return self.folder / SETTINGS

    def _there(self) -> list[Path]:
        files = [self.folder / f"{name}.{kind}" for name in self.names for kind in ("mp4", "npy")]
        files += [self.folder / name for name in self.others]
        folders = [self.folder / name for name in self.names]
        return [path for path in files if path.is_file()] + [folder for folder in folders if _holds_frames(folder)]

    def _difference(self) -> str:
        """Say how the request that made the earlier outputs differs; nothing where it is the same."""
        path = self.folder / SETTINGS
        try:
            earlier = json.loads(path.read_text(encoding="utf-8"))
            command, earlier_settings = earlier["command"], _flat(earlier)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return f"and no {SETTINGS} beside it says what it was made of"
        request = json.loads(json.dumps(dict(self.request)))
        if command != request["command"]:
            return f"made by `udpdiff {command}` ({path})"
        own = _flat(request)
        key = next((key for key in own | earlier_settings if own.get(key) != earlier_settings.get(key)), None)
        return (
            f"made with {key} {_short(earlier_settings.get(key))}, not {_short(own.get(key))} ({path})" if key else ""
        )


def _flat(request: Mapping[str, Any]) -> dict[str, Any]:
    return {**request["settings"], **{f"model {key}": value for key, value in request.get("model", {}).items()}}


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _holds_frames(folder: Path) -> bool:
    entries = _entries(folder)
    return bool(entries) and all(_FRAME.fullmatch(path.name) for path in entries)


def probe(folder: Path, called: str = "--out") -> None:
    """Find out whether files can be written into a folder; leaves nothing there, nor the folder if it is new.

    Args:
        called: What the user names it by.

    Raises:
        ValueError: They cannot.
    """
    new = [path for path in (folder, *folder.parents) if not os.path.exists(path)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ValueError(
            f"{called}: got {str(folder)!r}, which cannot be written into: {error.strerror}; name a folder that can"
        ) from error
    finally:
        for path in new:
            with suppress(OSError):
                path.rmdir()
