"""docs/configuration.md names every key of config.yaml, with the bounds that hold and the comment that stands there."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import yaml

from udpdiff.config.page import entries
from udpdiff.tables.specs import TABLES, needed

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "config.yaml").read_text()
FOUND = {".".join(entry.path): entry for entry in entries(TEXT)}


def test_the_page_is_current(capsys):
    page = ROOT / "docs" / "configuration.md"
    runpy.run_path(str(ROOT / "udpdiff/config/page.py"), run_name="__main__")
    assert page.read_text() == capsys.readouterr().out, (
        "write it anew: python -m udpdiff.config.page > docs/configuration.md"
    )


def test_every_key_of_the_file_is_there_with_its_default():
    for section, values in yaml.safe_load(TEXT).items():
        for key, value in (values if isinstance(values, dict) else {"": values}).items():
            entry = FOUND[f"{section}.{key}".rstrip(".")]
            assert isinstance(value, (dict, list)) or yaml.safe_load(entry.default) == value


@pytest.mark.parametrize(
    ("key", "allowed", "words"),
    [
        ("clips.height", "whole number, 16 to 4,096", "multiples of the VAE's compression"),
        ("filters.max_clipped_share", "number, > 0, <= 1", "at the ends of the luma range"),
        ("source.kind", "`scenes`; `videos`; `panda70m`", "a folder of video files"),
        ("panda70m.cookies", "text; null", "a file in Netscape's format"),
        ("labels.depth.depthcrafter.model", "`depthcrafter`", "what the checkpoint is"),
        ("labels.entities.grid8.points_per_side", "whole number, 1 to 64", "8 x 8 points"),
        ("training.optimizer", "`adamw`; `adamw_8bit`; `muon`", "reaches the same loss in fewer steps"),
    ],
)
def test_what_may_stand_there_and_what_it_means(key, allowed, words):
    assert FOUND[key].allowed == allowed
    assert words in FOUND[key].words


def test_every_value_says_what_it_means():
    assert not [key for key, entry in FOUND.items() if entry.default and not entry.words]
    assert FOUND["preset"].words.startswith("a scale, the name of a file in presets/")


def test_runs_are_said_to_serve_the_tables_that_cite_them():
    for run in yaml.safe_load(TEXT)["runs"]:
        said = re.search(r"tables? ([\d, ]+)$", FOUND[f"runs.{run}"].words)
        cite = [number for number in TABLES if run in {cited for cited, _ in needed(number)}]
        assert said and [int(number) for number in said[1].split(", ")] == cite, run


def test_a_comment_goes_on_below_and_stands_above():
    text = "clips:\n  fps: 8  # frames\n          # a second\n  # told\n  # before\n  height: 64\n"
    found = {entry.path: entry.words for entry in entries(text)}
    assert found["clips", "fps"] == "frames a second"
    assert found["clips", "height"] == "told before"
