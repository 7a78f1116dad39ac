"""Every labeller runs alone, from Python, in three lines on one video file: the examples of their docstrings, executed."""

from __future__ import annotations

import doctest
from importlib import import_module

import numpy as np
import pytest

import udpdiff
from udpdiff.sources.scenes import SceneSettings, render_clip
from udpdiff.video_io import write_mp4


def run_example(module: str, folder, monkeypatch) -> dict:
    """Run the docstring's example of a module in a folder; returns the names it made."""
    text = import_module(f"udpdiff.labelling.{module}").__doc__
    example = doctest.DocTestParser().get_doctest(text, {}, module, None, 0)
    lines = [line.source for line in example.examples if not line.source.startswith("from udpdiff import")]
    assert lines and len(lines) <= 3
    monkeypatch.chdir(folder)
    printed = []
    failed, _ = doctest.DocTestRunner(verbose=False).run(example, out=printed.append, clear_globs=False)
    assert not failed, "".join(printed)
    return example.globs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder that holds the examples' clip.mp4, a rendered scene."""
    folder = tmp_path_factory.mktemp("examples")
    settings = SceneSettings(height=64, width=64, num_frames=9, fps=8.0)
    write_mp4(folder / "clip.mp4", render_clip(settings, 10_000_700).video, settings.fps)
    return folder


@pytest.mark.parametrize("module", ["segmenter", "cropformer"])
def test_segmenter(folder, monkeypatch, module):
    made = run_example(module, folder, monkeypatch)
    assert made["video"].shape == (9, 64, 64, 3)
    assert made["entity_ids"].shape == (64, 64) and made["entity_ids"].max() >= 2


def test_tracker(folder, monkeypatch):
    made = run_example("propagation", folder, monkeypatch)
    assert made["logits"].shape == (len(made["ids"]), 9, 64, 64) and made["logits"].dtype == np.float32


def test_chain(folder, monkeypatch):
    made = run_example("cleanup", folder, monkeypatch)
    assert made["entity_ids"].shape == (9, 64, 64) and made["entity_ids"].dtype == np.uint16
    assert made["coverage"].shape == (9,) and made["coverage"].min() > 0.5


def test_chain_in_one_class(folder, monkeypatch):
    made, steps = (run_example(module, folder, monkeypatch) for module in ("entities", "cleanup"))
    np.testing.assert_array_equal(made["entity_ids"], steps["entity_ids"])
    np.testing.assert_array_equal(made["coverage"], steps["coverage"])


@pytest.mark.parametrize("module", ["depth_anything", "depthcrafter"])
def test_depth(folder, monkeypatch, module):
    depth = run_example(module, folder, monkeypatch)["depth"]
    assert depth.shape == (9, 64, 64) and depth.dtype == np.float32
    assert (depth.min(), depth.max()) == (0, 1)


def test_an_example_that_does_not_run_is_noticed(folder, tmp_path, monkeypatch):
    with pytest.raises(AssertionError, match=r"cannot decode 'clip\.mp4'"):
        run_example("segmenter", tmp_path, monkeypatch)


def test_every_name_of_the_package_is_there():
    assert all(hasattr(udpdiff, name) for name in udpdiff.__all__)
