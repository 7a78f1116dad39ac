"""What a user's csv file says of a folder of videos: captions, and the source videos that files were cut from.

The columns are `clip` and `caption`, `source` if there is one; others are ignored. A captioner may stand for the captions.
"""

from __future__ import annotations

import csv
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath

from udpdiff.sources.bounded_lines import BoundedLines

_CLIP, _CAPTION, _SOURCE = "clip", "caption", "source"
_DELIMITERS = ",;\t"
_LISTED_NAMES = 5
_LONGEST_LINE_CHARACTERS = 100_000


@dataclass(frozen=True)
class ClipTable:
    """What was read.

    Attributes:
        has_captions: Whether there is such a column.
        captions: File name -> caption, white space collapsed; files without one, or with an empty one, are left out.
        sources: File name -> source video, where one is named.
        unknown: Rows that name no file of the folder, or could be several, in words.
    """

    has_captions: bool = False
    captions: dict[str, str] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Row:
    line: int
    clip: str
    caption: str
    source: str


def read_clip_table(path: str | os.PathLike[str], file_names: Iterable[str]) -> ClipTable:
    """Read what is said of the given video files; a clip is named with or without its extension.

    Names are compared as they are; what is left, in Unicode's composed form and then without regard to case, where that
    leaves one file. Rows without a file are listed.

    Raises:
        ValueError: It is no such csv file, it says two things of one file, or none of its rows names a file.
    """
    rows, columns = _rows(path)
    file_of, unknown = _match(rows, list(file_names))
    row_of: dict[str, _Row] = {}
    for row, file in file_of:
        first = row_of.setdefault(file, row)
        if (first.caption, first.source) != (row.caption, row.source):
            raise ValueError(
                f"captions '{path}', line {row.line}: got a second caption or source of {file!r}, "
                f"the first is on line {first.line}; expected one row per clip"
            )
    if rows and not row_of:
        raise ValueError(
            f"captions '{path}': none of its {len(rows)} rows names a file of the folder: {some(unknown)}; "
            "expected names of its video files, with or without extension"
        )
    return ClipTable(
        _CAPTION in columns,
        {file: row.caption for file, row in row_of.items() if row.caption},
        {file: row.source for file, row in row_of.items() if row.source},
        unknown,
    )


def some(names: list[str]) -> str:
    """The first of many names, and how many more there are."""
    more = len(names) - _LISTED_NAMES
    return ", ".join(names[:_LISTED_NAMES]) + (f" and {more} more" if more > 0 else "")


def _match(rows: list[_Row], files: list[str]) -> tuple[list[tuple[_Row, str]], list[str]]:
    """Rows with their files, and the names of the rest; a looser comparison is for rows and files that are left."""
    found: list[tuple[_Row, str]] = []
    for form in (lambda name: name, _composed, lambda name: _composed(name).casefold()):
        taken = {file for _, file in found}
        known = _names_to_files([file for file in files if file not in taken], form)
        left = []
        for row in rows:
            file = known.get(form(row.clip))
            found += [(row, file)] if file else []
            left += [] if file else [row]
        rows = left
    return found, [f"{row.clip!r} (line {row.line})" for row in rows]


def _composed(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def _names_to_files(files: list[str], form: Callable[[str], str]) -> dict[str, str]:
    """Every name a clip may be called by -> its file; a name that several files share names none of them."""
    stems: dict[str, str | None] = {}
    wholes: dict[str, str | None] = {}
    for file in files:
        for names, name in ((stems, form(PurePath(file).stem)), (wholes, form(file))):
            names[name] = None if name in names else file
    return {name: file for name, file in (stems | wholes).items() if file is not None}


def _rows(path: str | os.PathLike[str]) -> tuple[list[_Row], list[str]]:
    """All rows that are not empty, and the columns of the table."""
    try:
        # utf-8-sig: spreadsheets write a byte order mark.
        with open(path, encoding="utf-8-sig", newline="") as file:
            lines = BoundedLines(file, _LONGEST_LINE_CHARACTERS)
            try:
                header = next(lines, "")
                delimiter = next((each for each in _DELIMITERS if _CLIP in _columns(header, each)), ",")
                columns = _check_columns(path, _columns(header, delimiter))
                return list(
                    _checked_rows(path, lines, csv.reader(lines, strict=True, delimiter=delimiter), columns)
                ), columns
            except csv.Error as error:
                raise ValueError(f"captions '{path}', line {lines.number}: {error}; expected a csv file") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"captions '{path}': got text that is not UTF-8 ({error}); save it as UTF-8") from error


def _columns(header: str, delimiter: str) -> list[str]:
    return [name.strip().lower() for name in next(csv.reader([header], delimiter=delimiter), [])]


def _check_columns(path: str | os.PathLike[str], columns: list[str]) -> list[str]:
    wanted = {name: columns.count(name) for name in (_CLIP, _CAPTION, _SOURCE)}
    if wanted[_CLIP] != 1 or max(wanted.values()) > 1 or not (wanted[_CAPTION] or wanted[_SOURCE]):
        raise ValueError(
            f"captions '{path}': got the columns {', '.join(columns) or 'none'}; expected clip and caption once each, "
            "and source where you name the videos that clips were cut from, separated by commas, in the first line"
        )
    return columns


def _checked_rows(path, lines: BoundedLines, reader: Iterator[list[str]], columns: list[str]) -> Iterator[_Row]:
    for values in reader:
        if not values:
            continue
        if len(values) != len(columns):
            raise ValueError(
                f"captions '{path}', line {lines.number}: got {len(values)} fields, the first line has {len(columns)}; "
                "put captions with commas in double quotes"
            )
        fields = dict(zip(columns, values, strict=True))
        words = [" ".join(fields.get(name, "").split()) for name in (_CAPTION, _SOURCE)]
        if any("\0" in text for text in words):
            raise ValueError(f"captions '{path}', line {lines.number}: got a NUL character; expected text")
        yield _Row(lines.number, fields[_CLIP].strip(), *words)
