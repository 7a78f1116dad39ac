"""What a user should know of a folder of videos before hours of work: how files are grouped by source, and what is not used."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Mapping
from pathlib import Path

from udpdiff.sources.captions_csv import some
from udpdiff.sources.source_names import Grouping
from udpdiff.sources.videos import printable

_SHOWN_SOURCES = 3
_REMEDY = "if that is wrong, name each file's source in a column `source` of the csv of captions"


def grouping_notice(grouping: Grouping) -> str:
    """How the files of a folder were grouped by source video."""
    counts = Counter(grouping.source_of.values())
    if grouping.numbered is not None:
        return (
            f"Of {len(grouping.source_of)} videos nearly all names differ in a number alone ({printable(grouping.numbered)} ...): each is "
            f"taken for a source of its own, so cuts of one film may be in both splits; {_REMEDY}."
        )
    if len(counts) == len(grouping.source_of):
        return f"Each of the {len(counts)} videos is taken for a source of its own; {_REMEDY}."
    shown = [_group(source, count, grouping) for source, count in counts.most_common(_SHOWN_SOURCES)]
    more = f" and {len(counts) - len(shown)} more" if len(counts) > len(shown) else ""
    guess = " Those joined by a number at the end may be different films." if grouping.guessed else ""
    return (
        f"{len(grouping.source_of)} videos were cut from {len(counts)} sources, no source serves both splits: "
        f"{'; '.join(shown)}{more}.{guess} {_REMEDY[0].upper()}{_REMEDY[1:]}."
    )


def ignored_notice(folder: str | os.PathLike[str], files: Mapping[str, Path]) -> str | None:
    """What else lies in the folder and is not read; None where there is nothing."""
    kinds: dict[str, list[str]] = {"folders": [], "hidden files": [], "files of other endings": []}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in files:
                continue
            hidden = entry.name.startswith(".")
            kind = "folders" if os.path.isdir(entry.path) else "hidden files" if hidden else "files of other endings"
            kinds[kind].append(printable(entry.name))
    counts = [f"{len(names)} {kind} ({some(sorted(names))})" for kind, names in kinds.items() if names]
    return f"Ignored in {printable(os.fspath(folder))}: {'; '.join(counts)}." if counts else None


def unknown_notice(unknown: list[str]) -> str | None:
    """Rows of the csv that name no file."""
    if not unknown:
        return None
    rows = "1 row of the csv names" if len(unknown) == 1 else f"{len(unknown)} rows of the csv name"
    return f"{rows} no file of the folder, or could name several: {some(unknown)}."


def uncaptioned_notice(files: Mapping[str, Path], captions: Container[str]) -> str | None:
    """Files that the csv gives no caption."""
    without = [printable(name) for name in files if name not in captions]
    if not without:
        return None
    return f"{len(without)} of {len(files)} videos have no caption in the csv and are left out: {some(without)}."


def unused_notice(unused: int, files: int) -> str | None:
    """Files beyond those that are asked for."""
    if not unused:
        return None
    return f"{unused} of {files} videos are not used: clips.train and clips.evaluation ask for a random sample and its reserve."


def _group(source: str, count: int, grouping: Grouping) -> str:
    first = next(name for name, each in grouping.source_of.items() if each == source)
    return f"{printable(source)} ({count}: {printable(first)}{' ...' if count > 1 else ''})"
