"""SECURITY.md names tests for what it promises, and they exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text()


def test_every_test_that_the_page_names_exists():
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE)
    assert len(named) > 10
    for file, name in named:
        tree = ast.parse((ROOT / file).read_text())
        assert not name or name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, (file, name)


def test_every_promise_names_a_test():
    promises = PAGE.split("## What strangers' files can do")[1].split("\n## ")[0]
    rows = [line for line in promises.splitlines() if line.startswith("| ")][1:]
    below = promises.rpartition("\n|")[2].partition("\n\n")[2].split("Not defended against:")[0]
    sentences = re.split(r"(?<=\.)\s+", below.strip())
    assert len(rows) > 8 and len(sentences) == 2
    assert all("`tests/" in each for each in (*rows, *sentences))
