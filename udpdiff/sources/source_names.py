"""From file names to the source videos that clips were cut from, by the patterns that cutting programs write.

A pattern is certain where only a cutting program writes it (`-Scene-001`, `_part2`, two times, Panda-70M's `ID.3`). A number at the end
may number cuts of one film or different films: it is taken for the former, for then no film serves both splits, unless nearly
all files would be cuts of a single one. Names that cameras give are never joined.

Source: PySceneDetect's `$VIDEO_NAME-Scene-$SCENE_NUMBER`, FFmpeg's segment muxer (`out%03d`), OpenVid-1M and CelebV-HQ
(`celebv_ID_0_1`), Kinetics (`ID_000010_000020`), UCF101 (`g01_c01`), LosslessCut
(`NAME-00.00.01.000-00.00.09.500-seg1`), InternVid (`ID_00:00:01.000_00:00:09.500`), GoPro's chapters (`GX020001`).
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

_CUT = re.compile(
    r"(.*\w)(?: ?-scene-\d+(?:-\d+)?| - scene \d+|[ _.\-]+(?:part|pt|cd|disc)[ _.\-]?\d+|(?<=_g\d\d)_c\d\d)",
    re.IGNORECASE,
)
_TIME = r"(?:(?:\d{1,2}[.:]){1,2}\d\d(?:\.\d{1,3})?|\d+\.\d+)"
# As few characters as can be are the name: its end is not taken for the beginning of a time.
_TIMES = re.compile(rf"(.*?\w)[ _.\-]+{_TIME}[ _\-]+{_TIME}(?:-seg\d+)?", re.ASCII)
_VIDEO_ID = re.compile(r"[\w-]{11}", re.ASCII)
_CUT_WORD = re.compile(r"[ _.\-]+(?:scene|shot|clip|segment|seg|chunk|split|cut)$", re.IGNORECASE)
_DOT_NUMBER = re.compile(r"(.*\w.*)\.\d+", re.ASCII)
_GOPRO = re.compile(r"(?:G[HXLPS]\d\d|GOPR)(\d{4})", re.IGNORECASE)
_COPY = re.compile(r"(.*?\w)(?:\s*\(\d+\)| - copy(?: \(\d+\))?| copy(?: \d+)?)+", re.IGNORECASE)
_COPY_OF = re.compile(r"^(?:copy of )+(?=.)", re.IGNORECASE)
_NUMBER = re.compile(r"(.*[^\W_])[ _.\-]+\d+")
_GLUED_NUMBER = re.compile(r"(.*[A-Za-z]{2})\d{3,}", re.ASCII)
_CAMERA = re.compile(
    r"_?(?:(?:IMG|DSC|DSCN|DSCF|MVI|MOV|MOVI|VID|DJI|PXL|PANO|MAH|SAM|CIMG|IMGP|PICT|HPIM|RIMG|WP|YI|STA|LRV|INSV)"
    r"[ _-]?[A-Z]?\d|[CPMAD]\d{4,})",
    re.IGNORECASE | re.ASCII,
)
_TIME_STAMP = re.compile(
    r"(?:19|20)\d\d[-_. ]?(?:0[1-9]|1[0-2])[-_. ]?(?:0[1-9]|[12]\d|3[01])"
    r"(?:[-_. T]*(?:at )?\d\d[-_.: h]?\d\d(?:[-_.: m]?\d\d(?:[-_.]?\d{3,6})?)?)?",
    re.ASCII,
)


# A source of more files than this share, by their numbers alone, would leave too few for one of the splits.
_MOST = 0.8


@dataclass(frozen=True)
class Grouping:
    """Which files are of one source.

    Attributes:
        source_of: File name -> source video.
        guessed: Sources of several files that were joined by their numbers alone.
        numbered: What nearly all names share but for a number, which then tells films apart; None otherwise.
    """

    source_of: dict[str, str]
    guessed: frozenset[str] = frozenset()
    numbered: str | None = None


def group(file_names: Iterable[str], given: dict[str, str] | None = None) -> Grouping:
    """Find the source video of each of the files of a folder.

    Args:
        file_names: All of them.
        given: Sources that the user names, by file name; they hold.
    """
    chains = {name: _chain(name) for name in file_names}
    fixed = given or {}
    open_names = {name: list(guesses) for name, (_, guesses) in chains.items() if guesses and name not in fixed}
    numbered = None
    while True:
        guess_of = {name: guesses[-1] for name, guesses in open_names.items() if guesses}
        guess, count = next(iter(Counter(guess_of.values()).most_common(1)), (None, 0))
        if count <= _MOST * len(chains):
            break
        for name in (name for name, each in guess_of.items() if each == guess):
            open_names[name].pop()
            numbered = numbered if open_names[name] else guess
    source_of = {name: certain for name, (certain, _) in chains.items()} | guess_of | fixed
    sizes = Counter(guess_of.values())
    return Grouping(source_of, frozenset(each for each, size in sizes.items() if size > 1), numbered)


def source_of(file_name: str) -> str:
    """The source video of a file by its own name alone: '0WjR6cSMi2A.3.mp4' -> '0WjR6cSMi2A', 'my trip.mp4' -> 'my trip'."""
    certain, guesses = _chain(file_name)
    return guesses[-1] if guesses else certain


def _chain(file_name: str) -> tuple[str, list[str]]:
    """What a name certainly says of its source, and what it may say, from the longest to the shortest."""
    name = file_name if file_name.isascii() else unicodedata.normalize("NFC", file_name)
    stem, ending = os.path.splitext(name)
    stem = _COPY_OF.sub("", name if ending[1:].isdecimal() else stem, count=1)
    if not stem[-1:].isdecimal() and not stem.lower().endswith((")", "copy")):
        return stem, []
    if chapter := _GOPRO.fullmatch(stem):
        return f"GoPro {chapter[1]}", []
    if (
        cut := _CUT.fullmatch(stem)
        or _TIMES.fullmatch(stem)
        or (not _ends_in_time(stem) and _DOT_NUMBER.fullmatch(stem))
    ):
        return cut[1].rstrip(" _.-"), []
    guesses = []
    base = stem
    if copy := _COPY.fullmatch(stem):
        base = copy[1]
        guesses.append(base)
    if _CAMERA.match(base):
        return stem, guesses
    shorter = _without_number(base)
    if shorter:
        guesses.append(shorter)
        # `celebv_ID_0_1` counts clips and their cuts; of `film_1_003` the first number tells films apart.
        still_shorter = _without_number(shorter)
        while still_shorter and (re.search(r"[ _.\-\d]", still_shorter) or _VIDEO_ID.fullmatch(still_shorter)):
            guesses.append(still_shorter)
            still_shorter = _without_number(still_shorter)
    return stem, guesses


def _without_number(name: str) -> str | None:
    """The name without the number at its end; None where it has none, or where the number is a date or a time of day."""
    found = _NUMBER.fullmatch(name) or _GLUED_NUMBER.fullmatch(name)
    if found is None or _ends_in_time(name):
        return None
    return _CUT_WORD.sub("", found[1]) or found[1]


def _ends_in_time(name: str) -> bool:
    return any(stamp.end() == len(name) for stamp in _TIME_STAMP.finditer(name))
