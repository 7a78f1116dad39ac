"""The table of licences in the documentation is the one of the package, and every reference has an answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from udpdiff.checkpoints import licences

ROOT = Path(__file__).parents[2]


def test_the_documentation_has_the_packages_table_once():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    rows = licences.as_markdown().splitlines()
    holders = {page.name for page in pages if rows[0] in page.read_text()}
    assert len(holders) == 1, "python -m udpdiff.checkpoints.licences prints the table for one page"
    text = "\n".join(page.read_text() for page in pages)
    assert not [row for row in rows if " ".join(row.split()) not in " ".join(text.split())]


@pytest.mark.parametrize(
    ("reference", "licence"),
    [
        ("mini:sam2", licences.OWN),
        ("THUDM/CogVideoX-5b@main", "CogVideoX licence"),
        ("depth-anything/Depth-Anything-V2-Large-hf", "CC BY-NC 4.0"),
        ("somebody/else", licences.UNKNOWN),
        ("i3d:/data/i3d.pt#00", licences.UNKNOWN),
        ("/a/folder", licences.UNKNOWN),
    ],
)
def test_licence_of_a_reference(reference, licence):
    assert licences.licence_of(reference) == licence
