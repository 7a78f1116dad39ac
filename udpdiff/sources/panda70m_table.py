"""The metadata tables of Panda-70M, read row by row: what is well formed comes out as videos, what is not with a reason.

A table holds one source video per record; its last five columns are Python literals as text, aligned by clip. Nothing is
evaluated. Knows nothing of which clips are wanted (`panda70m_sample`) nor of downloads.

Source: snap-research/Panda-70M, readme (columns, classes).
"""

from __future__ import annotations

import ast
import csv
import math
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from udpdiff.sources.bounded_lines import BoundedLines
from udpdiff.sources.zipped_tables import open_table

COLUMNS = (
    "videoID",
    "url",
    "timestamp",
    "caption",
    "matching_score",
    "desirable_filtering",
    "shot_boundary_detection",
)
CLASSES = frozenset(
    {
        "desirable",
        "0_low_desirable_score",
        "1_still_foreground_image",
        "2_tiny_camera_movement",
        "3_screen_in_screen",
        "4_computer_screen_recording",
    }
)
MAX_CAPTION_CHARACTERS = 10_000
# Python's parser takes up to 550 bytes for a character of a literal. A quote that is never closed swallows no more.
MAX_FIELD_CHARACTERS = 1_000_000
_MAX_LINE_CHARACTERS = (len(COLUMNS) + 1) * MAX_FIELD_CHARACTERS
_VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_TIME = re.compile(r"(\d{1,3}):([0-5]\d):([0-5]\d(?:\.\d{1,6})?)", re.ASCII)
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")  # escapes in a literal can write them; files of text cannot hold them


class RowFault(StrEnum):
    """Why a record was rejected."""

    COLUMN_COUNT = "column_count"
    TOO_LONG = "too_long"
    VIDEO_ID = "bad_video_id"
    DUPLICATE = "duplicate_video_id"
    URL = "bad_url"
    URL_ID = "url_id_mismatch"
    LIST = "unparsable_list"
    NON_LITERAL = "non_literal"
    LENGTHS = "length_mismatch"
    TIMESTAMP = "bad_timestamp"
    CAPTION = "bad_caption"
    CAPTION_LENGTH = "caption_too_long"
    SCORE = "bad_score"
    CLASS = "bad_class"
    SHOTS = "bad_shots"


class BadRow(ValueError):
    """A record that cannot be used; never a reason to stop."""

    def __init__(self, fault: RowFault, details: str) -> None:
        super().__init__(f"{fault.value}: {details}")
        self.fault = fault


@dataclass(frozen=True)
class PandaClip:
    """One entry of a video's lists. Times in seconds; shots are (start, end) from the clip's own start."""

    index: int
    start: float
    end: float
    caption: str
    matching_score: float
    desirable: str
    shots: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class PandaVideo:
    """One record. `number` counts csv records from 1, the header left out; a record may span lines."""

    number: int
    video_id: str
    url: str
    clips: tuple[PandaClip, ...]


@dataclass(frozen=True)
class RejectedRow:
    """One record that was rejected, and why."""

    number: int
    fault: RowFault
    reason: str


def read_table(path: str | Path) -> Iterator[PandaVideo | RejectedRow]:
    """Yield every record of a csv file, or of the one csv inside a zip, in order.

    One record is held at a time, and eight bytes of every videoID so far, to find repeated ones.

    Args:
        path: The csv or zip file.

    Yields:
        Each record, or why it was rejected.

    Raises:
        ValueError: The header lacks a column, or the zip is damaged.
    """
    seen: set[int] = set()
    with open_table(path) as file:
        records = _records(file)
        header = _header(path, records)
        for number, record in enumerate(records, start=1):
            try:
                if isinstance(record, csv.Error):
                    raise BadRow(RowFault.TOO_LONG, str(record))
                if len(record) != len(header):
                    raise BadRow(RowFault.COLUMN_COUNT, f"got {len(record)} columns, the header has {len(header)}")
                fields = dict(zip(header, record, strict=True))
                video = parse_video(number, *(fields[name] for name in COLUMNS))
                if (key := hash(video.video_id)) in seen:
                    raise BadRow(RowFault.DUPLICATE, f"{video.video_id} again; the first one is kept")
                seen.add(key)
                yield video
            except BadRow as error:
                yield RejectedRow(number, error.fault, str(error))


def check_header(path: str | Path) -> None:
    """Check by its first line that a file is a table of Panda-70M.

    Raises:
        ValueError: It is not.
    """
    with open_table(path) as file:
        _header(path, _records(file))


def parse_video(
    number: int, video_id: str, url: str, times: str, captions: str, scores: str, classes: str, shots: str
) -> PandaVideo:
    """Parse one record from the text of its columns.

    Raises:
        BadRow: Some of it is not well formed.
    """
    _check_address(video_id, url)
    texts = {"timestamp": times, "caption": captions, "matching_score": scores}
    texts |= {"desirable_filtering": classes, "shot_boundary_detection": shots}
    columns = {name: _literal_list(name, text) for name, text in texts.items()}
    count = len(columns["timestamp"])
    for name, values in columns.items():
        if len(values) != count:
            raise BadRow(RowFault.LENGTHS, f"{name} has {len(values)} entries, timestamp {count}")
    if not count:
        raise BadRow(RowFault.LENGTHS, "no clips")
    return PandaVideo(number, video_id, url, tuple(map(_parse_clip, range(count), *columns.values())))


def _parse_clip(index: int, times, caption, score, desirable, shots) -> PandaClip:
    start, end = _time_range(times, RowFault.TIMESTAMP)
    if not isinstance(caption, str):
        raise BadRow(RowFault.LIST, f"caption of clip {index} is no text")
    if len(caption) > MAX_CAPTION_CHARACTERS:
        raise BadRow(RowFault.CAPTION_LENGTH, f"{len(caption)} characters, at most {MAX_CAPTION_CHARACTERS}")
    if not caption.strip():
        raise BadRow(RowFault.CAPTION, f"caption of clip {index} is empty")
    if _UNSTORABLE.search(caption):
        raise BadRow(RowFault.CAPTION, f"caption of clip {index} has NUL characters or lone surrogates")
    if not _is_finite(score):
        raise BadRow(RowFault.SCORE, f"matching score {_shown(score)} of clip {index} is no finite number")
    if not isinstance(desirable, str) or desirable not in CLASSES:
        raise BadRow(RowFault.CLASS, f"unknown class {_shown(desirable)} of clip {index}")
    if not isinstance(shots, list) or not shots:
        raise BadRow(RowFault.SHOTS, f"clip {index} has no shots")
    ranges = tuple(_time_range(shot, RowFault.SHOTS) for shot in shots)
    return PandaClip(index, start, end, caption, float(score), desirable, ranges)


def _check_address(video_id: str, url: str) -> None:
    if not _VIDEO_ID.fullmatch(video_id):
        raise BadRow(RowFault.VIDEO_ID, f"got {video_id!r:.60}, expected 11 characters of A-Z a-z 0-9 - _")
    try:
        parts = urlsplit(url)
        address = (parts.scheme, parts.netloc, parts.path, parts.fragment)
        query = parse_qs(parts.query, keep_blank_values=True)
    except ValueError:
        address, query = (), {}
    # urlsplit drops line breaks and tabs, which must not get through.
    if address != ("https", "www.youtube.com", "/watch", "") or set(query) != {"v"} or not url.isprintable():
        raise BadRow(RowFault.URL, f"got {url!r:.80}, expected https://www.youtube.com/watch?v=ID")
    if query["v"] != [video_id]:
        raise BadRow(RowFault.URL_ID, f"{url!r:.80} does not lead to {video_id}")


def _literal_list(name: str, text: str) -> list:
    """A list of literals from its text; names, calls and anything else that would have to be evaluated are refused."""
    if len(text) > MAX_FIELD_CHARACTERS:  # where another reader of this process has raised the limit of fields
        raise BadRow(RowFault.TOO_LONG, f"{name} of {len(text)} characters, at most {MAX_FIELD_CHARACTERS}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of escapes in captions
            value = ast.literal_eval(text)
    except (SyntaxError, MemoryError, RecursionError, TypeError) as error:
        raise BadRow(RowFault.LIST, f"{name}: {type(error).__name__}") from None
    except ValueError as error:
        fault = RowFault.NON_LITERAL if "malformed node" in str(error) else RowFault.LIST
        raise BadRow(fault, f"{name} is no list of literals") from None
    if not isinstance(value, list):
        raise BadRow(RowFault.LIST, f"{name} is a {type(value).__name__}, no list")
    return value


def _time_range(value, fault: RowFault) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise BadRow(fault, f"{_shown(value)} is no range of two times")
    start, end = (_seconds(time, fault) for time in value)
    if end <= start:
        raise BadRow(fault, f"{value!r:.60} does not end after it starts")
    return start, end


def _seconds(time, fault: RowFault) -> float:
    match = _TIME.fullmatch(time) if isinstance(time, str) else None
    if not match:
        raise BadRow(fault, f"{_shown(time)} is no time like 0:01:20.880")
    return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])


def _is_finite(score) -> bool:
    if isinstance(score, bool) or not isinstance(score, int | float):
        return False
    try:
        return math.isfinite(score)
    except OverflowError:
        return False


def _shown(value) -> str:
    """The beginning of a literal, for a message."""
    try:
        return f"{value!r:.60}"
    except ValueError:  # Python refuses to write integers of thousands of digits, which a hexadecimal literal can hold
        return f"a {type(value).__name__} of endless digits"


def _header(path: str | Path, records: Iterator[list[str] | csv.Error]) -> list[str]:
    header = next(records, [])
    header = [] if isinstance(header, csv.Error) else header
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise ValueError(
            f"Panda-70M table '{path}': missing column {missing[0]!r}; got {', '.join(header)[:200] or 'none'}; "
            f"expected {', '.join(COLUMNS)}"
        )
    return header


def _records(file) -> Iterator[list[str] | csv.Error]:
    """Records of a csv file; one that csv cannot read is given as its error."""
    # The limit belongs to the process; it is a maximum, so raising it harms nobody.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_FIELD_CHARACTERS))
    reader = csv.reader(BoundedLines(file, _MAX_LINE_CHARACTERS))
    while True:
        try:
            yield next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield error
