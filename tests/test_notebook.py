"""docs/first_steps.ipynb runs from top to bottom, and makes what it shows."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from udpdiff.sources.scene_words import unknown_words

PAGE = Path(__file__).parents[1] / "docs" / "first_steps.ipynb"


@pytest.fixture(scope="module")
def made():
    notebook = nbformat.read(PAGE, 4)
    for cell in notebook.cells:
        cell.pop("outputs", None)
        if cell.cell_type == "code":
            cell["outputs"] = []
    return NotebookClient(notebook, timeout=600).execute()


def outputs(notebook, kind: str) -> list[str]:
    found = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output["data"][kind] for output in found if kind in output.get("data", {})]


def test_a_prompt_a_video_with_depth_and_entities_and_labels_of_a_clip(made):
    assert len(outputs(made, "image/png")) == 3
    assert "((1, 9, 64, 64, 3), (1, 9, 64, 64, 3), (1, 9, 64, 64))" in outputs(made, "text/plain")
    printed = "".join(output.text for cell in made.cells for output in cell.get("outputs", []) if "text" in output)
    assert float(re.search(r"mean IoU with the truth: ([\d.]+)", printed)[1]) > 0.8


def test_its_prompt_has_only_words_that_the_model_has_read():
    source = "".join(cell.source for cell in nbformat.read(PAGE, 4).cells if cell.cell_type == "code")
    prompt = "".join(re.findall(r'    "(.*)"', re.search(r"(?s)prompt = \((.*?)\n\)", source)[1]))
    assert prompt.startswith("A large red ball") and unknown_words(prompt) == []


def test_it_is_stored_as_it_was_executed(made):
    assert len(outputs(nbformat.read(PAGE, 4), "image/png")) == len(outputs(made, "image/png"))
