"""The text of a csv file, or of the one csv inside a zip, streamed: neither is ever unpacked or held as a whole."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TextIO


@contextmanager
def open_table(path: str | Path) -> Iterator[TextIO]:
    """Open a table for reading as text; bytes that are no UTF-8 become replacement characters.

    Raises:
        ValueError: The zip holds no csv or several, or it is damaged or encrypted; damage shows while it is read.
    """
    if not zipfile.is_zipfile(path):
        with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
            yield file
        return
    try:
        with zipfile.ZipFile(path) as archive, _open_member(path, archive) as file:
            yield io.TextIOWrapper(file, encoding="utf-8-sig", errors="replace", newline="")
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError) as error:
        raise ValueError(f"Panda-70M table '{path}': the zip cannot be unpacked: {error}; download it again") from error


def _open_member(path: str | Path, archive: zipfile.ZipFile) -> IO[bytes]:
    """The one csv of a zip; what macOS adds beside each file is none."""
    names = [name for name in archive.namelist() if name.endswith(".csv") and not name.startswith("__MACOSX/")]
    if len(names) != 1:
        raise ValueError(f"Panda-70M table '{path}': got {len(names)} csv files in the zip, expected one")
    if archive.getinfo(names[0]).flag_bits & 1:
        raise ValueError(f"Panda-70M table '{path}': the zip is encrypted; unpack it and name the csv")
    return archive.open(names[0])
