"""Captions that come with a folder of videos: a csv file with the columns `clip,caption`; other columns are ignored."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator
from pathlib import PurePath

from udpdiff.sources.bounded_lines import BoundedLines

_COLUMNS = ("clip", "caption")
_LISTED_NAMES = 5
_LONGEST_LINE_CHARACTERS = 100_000


def read_captions(path: str | os.PathLike[str], file_names: Iterable[str]) -> dict[str, str]:
    """Read the captions of the given video files; a clip is named with or without its extension.

    Returns:
        File name -> caption, white space collapsed; files without a caption, or with an empty one, are left out.

    Raises:
        ValueError: Missing columns, a row that does not fit them, a clip named twice, or one without a file.
    """
    file_of = _names_to_files(file_names)
    captions: dict[str, str] = {}
    line_of: dict[str, int] = {}
    unknown: list[str] = []
    for line, clip, caption in _rows(path):
        file = file_of.get(clip)
        if file is None:
            unknown.append(f"{clip!r} (line {line})")
            continue
        if file in line_of:
            raise ValueError(
                f"captions '{path}', line {line}: got a second caption of {file!r}, "
                f"the first is on line {line_of[file]}; expected one row per clip"
            )
        line_of[file] = line
        if caption:
            captions[file] = caption
    if unknown:
        raise ValueError(
            f"captions '{path}': got {len(unknown)} clips that are no file of the folder, or could be several: "
            f"{_some(unknown)}; expected names of its video files, with or without extension"
        )
    return captions


def _rows(path: str | os.PathLike[str]) -> Iterator[tuple[int, str, str]]:
    """Yield (line, clip, caption) of every row that is not empty."""
    try:
        # utf-8-sig: spreadsheets write a byte order mark.
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = BoundedLines(file, _LONGEST_LINE_CHARACTERS)
            reader = csv.DictReader(lines, strict=True)
            columns = [(name or "").strip() for name in reader.fieldnames or []]
            missing = [name for name in _COLUMNS if columns.count(name) != 1]
            if missing:
                raise ValueError(
                    f"captions '{path}': got the columns {', '.join(columns) or 'none'}; "
                    f"expected {' and '.join(_COLUMNS)} once each, separated by commas, in the first line"
                )
            reader.fieldnames = columns
            for row in reader:
                if None in row or None in row.values():
                    raise ValueError(
                        f"captions '{path}', line {reader.line_num}: got {_fields(row)} fields, the first line has "
                        f"{len(columns)}; put captions with commas in double quotes"
                    )
                yield reader.line_num, row["clip"].strip(), " ".join(row["caption"].split())
    except UnicodeDecodeError as error:
        raise ValueError(f"captions '{path}': got text that is not UTF-8 ({error}); save it as UTF-8") from error
    except csv.Error as error:
        raise ValueError(f"captions '{path}', line {lines.number}: {error}; expected a csv file") from error


def _fields(row: dict[str | None, str | list[str] | None]) -> int:
    return sum(value is not None for key, value in row.items() if key is not None) + len(row.get(None) or [])


def _names_to_files(file_names: Iterable[str]) -> dict[str, str]:
    """Every name a clip may be called by -> its file; a stem that several files share names none of them."""
    files = list(file_names)
    stems: dict[str, str | None] = {}
    for file in files:
        stem = PurePath(file).stem
        stems[stem] = None if stem in stems else file
    return {stem: file for stem, file in stems.items() if file is not None} | {file: file for file in files}


def _some(names: list[str]) -> str:
    more = len(names) - _LISTED_NAMES
    return ", ".join(names[:_LISTED_NAMES]) + (f" and {more} more" if more > 0 else "")
