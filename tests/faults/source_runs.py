"""Clips from a folder of videos, and from a table of Panda-70M whose videos come from a folder, made by the workflow."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import yaml
from finished_run import FinishedRun

from udpdiff.video_io import write_mp4

CLIPS = {"train": 4, "evaluation": 2, "shard_clips": 8}
TARGETS = tuple(f"results/clips/{split}/0.h5" for split in ("train", "evaluation"))
TABLE_COLUMNS = (
    "videoID", "url", "timestamp", "caption", "matching_score", "desirable_filtering", "shot_boundary_detection",
)  # fmt: skip
FETCHER = """
import shutil
from pathlib import Path

def fetch(url, start, end, path, settings):
    shutil.copy(Path(__file__).parents[1] / "films" / f"{url.rpartition('=')[2]}.mp4", path)
"""


def videos(folder: Path) -> FinishedRun:
    """A run of the rules that cut clips from a folder of films."""
    names = [f"film{number}" for number in range(8)]
    write_films(folder / "films", names)
    with open(folder / "captions.csv", "w", newline="") as file:
        csv.writer(file).writerows([("clip", "caption"), *((f"{name}.mp4", f"This is {name}.") for name in names)])
    source = {"kind": "videos", "path": str(folder / "films"), "captions": str(folder / "captions.csv")}
    return FinishedRun(folder / "undisturbed", _config(folder, {"source": source, "clips": CLIPS}), TARGETS)


def panda70m(folder: Path) -> FinishedRun:
    """A run of the rules that choose and download clips."""
    names = [f"film{number:07d}" for number in range(12)]
    write_films(folder / "films", names)
    with open(folder / "table.csv", "w", newline="") as file:
        csv.writer(file).writerows([TABLE_COLUMNS, *map(_record, names)])
    source = {"kind": "panda70m", "path": str(folder / "table.csv")}
    config = _config(folder, {"source": source, "clips": CLIPS, "panda70m": {"fetch": "plugin:own_fetcher:fetch"}})
    (folder / "undisturbed").mkdir(exist_ok=True)
    (folder / "undisturbed" / "own_fetcher.py").write_text(FETCHER)
    return FinishedRun(folder / "undisturbed", config, TARGETS)


def write_films(folder: Path, names: list[str]) -> None:
    """Five seconds of sharp squares that drift, in other colours for each film."""
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        colours = np.random.default_rng(number).integers(40, 215, (12, 16, 3), dtype=np.uint8)
        picture = colours.repeat(8, axis=0).repeat(8, axis=1)
        write_mp4(folder / f"{name}.mp4", np.stack([np.roll(picture, 2 * shift, axis=1) for shift in range(40)]), fps=8)


SOURCES = {"videos": videos, "panda70m": panda70m}


def _config(folder: Path, content: dict) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def _record(name: str) -> list[str]:
    time = ["0:00:00.000", "0:00:05.000"]
    url = f"https://www.youtube.com/watch?v={name}"
    return [name, url, repr([time]), repr([f"This is {name}."]), "[0.5]", "['desirable']", repr([[time]])]
