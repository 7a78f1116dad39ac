"""`udpdiff label`: what it writes of a file, and which labellers it takes."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path

import numpy as np
import pytest

from udpdiff import command
from udpdiff.command import label
from udpdiff.config_values import ConfigError
from udpdiff.video_io import read_video, write_mp4


def parsed(*words: str):
    parser = ArgumentParser()
    label.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("films") / "film.mp4"
    video = np.zeros((5, 65, 64, 3), np.uint8)
    video[:, :32] = (90, 130, 200)
    video[:, 32:] = (120, 120, 120)
    for frame in range(5):
        video[frame, 24:44, 10 + 4 * frame : 30 + 4 * frame] = (200, 30, 30)
    write_mp4(path, video[:, :64], 12)
    return path


def test_a_file_gets_labels_and_a_film_beside_them(clip, tmp_path, capsys):
    words = ["label", str(clip), "--entities", "--depth", "depth_anything", "--frames", "3", "--device", "cpu"]
    command.main([*words, "--out", str(tmp_path), "--format", "npy,png"])
    assert {path.name for path in tmp_path.iterdir()} == {
        "entities.npy",
        "entities",
        "depth.npy",
        "depth",
        "overlay.mp4",
    }
    ids, depth = np.load(tmp_path / "entities.npy"), np.load(tmp_path / "depth.npy")
    assert ids.dtype == np.uint16 and ids.shape == depth.shape == (3, 64, 64)
    assert depth.dtype == np.float32 and depth.min() == 0 and depth.max() == 1
    assert len(read_video(tmp_path / "overlay.mp4")) == 3
    assert "entities: " in capsys.readouterr().out


def test_options_name_other_labellers(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("labels: {entities: {entityseg: {score_threshold: 0.25}}}")
    words = ["x.mp4", "--entities", "--segmenter", "a/b", "--tracker", "c/d", "--depth", "--depth-checkpoint", "e/f"]
    labels = label.labellers(parsed(*words, "--configfile", str(mine))).labels
    entities = labels.entities["entityseg"]
    assert (entities.segmenter, entities.score_threshold, labels.tracker.checkpoint) == ("a/b", 0.25, "c/d")
    assert labels.depth["depthcrafter"].checkpoint == "e/f"
    assert label.labellers(parsed("x.mp4", "--entities")).labels.tracker.checkpoint == "mini:sam2"


def test_what_cannot_be_labelled_is_told(tmp_path, clip, monkeypatch):
    with pytest.raises(ConfigError, match=r"--depth: got 'nope'; allowed: depthcrafter, depth_anything"):
        label.labellers(parsed("x.mp4", "--depth", "nope"))
    with pytest.raises(ConfigError, match=r"--segmenter: got none"):
        label.labellers(parsed("x.mp4", "--entities", "--preset", "paper"))
    (tmp_path / "torn.mp4").write_bytes(b"no film")
    with pytest.raises(ValueError, match=r"torn\.mp4.*expected a video file"):
        label.check_file(tmp_path / "torn.mp4", None)
    monkeypatch.setattr(label, "_MAX_BYTES", 4 * 64 * 64 * 3)
    with pytest.raises(ValueError, match=r"5 frames of 64 x 64.*Take --frames N, or cut"):
        label.check_file(clip, None)
    assert label.check_file(clip, 4) == 12
