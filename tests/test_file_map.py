"""The page on the architecture, its map of files too, names what is there, and all of it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
UNLISTED = {"LICENSE", "README.md", "pyproject.toml", "constraints.txt", "__init__.py"}


def entries(folder: Path) -> set[str]:
    """Modules and folders of a folder, folders with a slash; hidden ones and what is made are left out."""
    made = {"results", "logs", "build", "work"}
    return {
        path.name + "/" * path.is_dir()
        for path in folder.iterdir()
        if not path.name.startswith((".", "__pycache__"))
        and not path.name.endswith(".egg-info")
        and path.name not in made
    } - UNLISTED


def mapped(indent: int) -> set[str]:
    listing = (ROOT / "docs" / "architecture.md").read_text().split("## Files")[1].split("```")[1]
    lines = [line for line in listing.splitlines() if line and len(line) - len(line.lstrip()) == indent]
    return {line.split()[0] for line in lines}


def test_the_map_of_the_top_level_matches_the_tree():
    assert mapped(0) == entries(ROOT)


def test_the_map_of_the_package_matches_the_tree():
    assert mapped(2) == entries(ROOT / "udpdiff")


def test_the_architecture_page_names_every_room_and_only_what_exists():
    page = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`((?:udpdiff|tests|scripts|docs)/[\w/.]+)`", page))
    missing = {name for name in named if not (ROOT / name).exists()}
    assert not missing
    rooms = {f"udpdiff/{name}" for name in entries(ROOT / "udpdiff") if name.endswith("/")}
    assert rooms <= named


def test_pages_name_only_modules_that_exist():
    """From the project's root, or by their name alone those that lie directly in the package; `*` stands for several.

    A name before its own listing is of a file that the reader is to write.
    """
    for page in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        for name in re.findall(r"`([\w/*.-]+\.py)`(?!:\n\n```)", page.read_text()):
            assert list(ROOT.glob(name)) or list((ROOT / "udpdiff").glob(name)), f"{page.name}: {name}"


def test_test_files_have_names_of_their_own():
    """Folders of tests are no packages, so pytest imports each file by its name alone."""
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert not {name for name in names if names.count(name) > 1}
