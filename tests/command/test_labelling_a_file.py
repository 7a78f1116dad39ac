"""`udpdiff label`: what it writes of a file, and which labellers it takes."""

from __future__ import annotations

import json
import re
import shutil
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
    command.main([*words, "--out", str(tmp_path), "--format", "npy,png", "--short-side", "48"])
    assert {path.name for path in tmp_path.iterdir()} == {
        "entities.npy",
        "entities",
        "depth.npy",
        "depth",
        "overlay.mp4",
        "settings.json",
    }
    ids, depth = np.load(tmp_path / "entities.npy"), np.load(tmp_path / "depth.npy")
    assert ids.dtype == np.uint16 and ids.shape == depth.shape == (3, 48, 48)
    assert depth.dtype == np.float32 and depth.min() == 0 and depth.max() == 1
    assert len(read_video(tmp_path / "overlay.mp4")) == 3
    told = capsys.readouterr()
    assert re.search(r"entities: \d+, over \d+% of the pixels; without specks, and what others cover", told.out)
    assert "film.mp4: 3 frames of 64 x 64, labelled at 48 x 48; --short-side 64 keeps their size" in told.err
    assert "followed: 3/3 in " in told.err and "entities 1 to " in told.err
    noted = "mini:cropformer, mini:sam2 and mini:depth_anything: mini labellers, trained on rendered scenes alone"
    assert told.err.count(noted) == 1 and "--tracker facebook/sam2.1-hiera-large" in told.err
    said = json.loads((tmp_path / "settings.json").read_text())
    assert said["settings"]["file"] == "film.mp4" and said["settings"]["frames"] == 3
    assert said["settings"]["depth"]["checkpoint"] == "mini:depth_anything"
    assert {role: bool(each["sha256"]) for role, each in said["provenance"]["networks"].items()} == {
        "segmenter": True, "tracker": True, "estimator": True,
    }  # fmt: skip
    with pytest.raises(ValueError, match=r"entities\.npy is there already, made with frames 3, not 2 .*--overwrite"):
        command.main(
            [
                *words[:-4],
                "--frames",
                "2",
                *words[-2:],
                "--out",
                str(tmp_path),
                "--format",
                "npy,png",
                "--short-side",
                "48",
            ]
        )


def test_the_lines_of_the_page_label_a_file(clip, tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "use.md").read_text()
    [code] = [code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "CropFormer" in code]
    shutil.copy(clip, tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(code, names)
    ids, coverage = names["entity_ids"], names["coverage"]
    assert ids.shape == names["video"].shape[:3] and len(coverage) == len(ids) and ids.any()
    options = re.search(r"use\n`(--segmenter [^`]+)`", page)[1].split()
    assert parsed("clip.mp4", "--entities", *options).depth == "depth_anything"


def test_each_stage_of_depth_says_how_far_it_is(clip, tmp_path, capsys):
    command.main(["label", str(clip), "--depth", "--device", "cpu", "--out", str(tmp_path), "--format", "npy"])
    told = capsys.readouterr().err
    assert "5 frames of 64 x 64\n" in told, "a small file keeps its size"
    assert "depth, steps of denoising: 5/5 in " in told and "chunks" not in told, (
        "of one chunk there is nothing to tell"
    )


def test_frames_are_shrunk_as_far_as_the_labellers_are_small():
    for words, pixels in (
        (["--entities", "--depth"], 128),
        (["--entities", "grid8"], 128),
        (["--entities", "--tracker", "facebook/sam2.1-hiera-large"], 480),
        (["--entities", "--depth", "--depth-checkpoint", "e/f"], 480),
    ):
        arguments = parsed("x.mp4", *words)
        assert label.default_short_side(label.checkpoints(label.labellers(arguments), arguments)) == pixels
    assert parsed("x.mp4", "--short-side", "1080").short_side == 1080
    with pytest.raises(SystemExit):
        parsed("x.mp4", "--short-side", "1080p")


def test_options_name_other_labellers(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("labels: {entities: {entityseg: {score_threshold: 0.25}}}")
    words = ["x.mp4", "--entities", "--segmenter", "a/b", "--tracker", "c/d", "--depth", "--depth-checkpoint", "e/f"]
    labels = label.labellers(parsed(*words, "--configfile", str(mine))).labels
    entities = labels.entities["entityseg"]
    assert (entities.segmenter, entities.score_threshold, labels.tracker.checkpoint) == ("a/b", 0.25, "c/d")
    assert labels.depth["depthcrafter"].checkpoint == "e/f"
    assert label.labellers(parsed("x.mp4", "--entities")).labels.tracker.checkpoint == "mini:sam2"


def test_what_cannot_be_labelled_is_told(tmp_path, clip, monkeypatch, capsys):
    with pytest.raises(ConfigError, match=r"--depth: got 'nope'; allowed: depthcrafter, depth_anything"):
        label.labellers(parsed("x.mp4", "--depth", "nope"))
    for words, told in (
        (
            ["--tracker", "no/where/sam"],
            r"labels\.tracker\.checkpoint: got 'no/where/sam', and there is no such folder",
        ),
        (["--tracker", "mini:cropformer"], r"labels\.tracker\.checkpoint: .*a folder without a readable sam2\.json"),
        (["--segmenter", "mini:no"], r"labels\.entities\.entityseg\.segmenter: got 'mini:no'"),
    ):
        arguments = parsed("x.mp4", "--entities", *words)
        with pytest.raises(ConfigError, match=told):
            label.check_checkpoints(label.labellers(arguments), arguments)
    with pytest.raises(
        ConfigError, match=r"--tracker: got 'mini:sam2' for labels that are not asked for; expected --ent"
    ):
        label.labellers(parsed("x.mp4", "--depth", "--tracker", "mini:sam2"))
    with pytest.raises(SystemExit):
        parsed("--entities", str(clip))
    assert f"got the file '{clip}'; expected a labeller's name" in capsys.readouterr().err
    with pytest.raises(ConfigError, match=r"--segmenter: got none"):
        label.labellers(parsed("x.mp4", "--entities", "--preset", "paper"))
    with pytest.raises(ValueError, match=r"--device: got 'cuda:77', which this machine does not have; expected cpu"):
        command.main(["label", str(clip), "--device", "cuda:77", "--out", str(tmp_path / "labels")])
    (tmp_path / "torn.mp4").write_bytes(b"no film")
    with pytest.raises(ValueError, match=r"torn\.mp4.*expected a video file"):
        label.check_file(tmp_path / "torn.mp4", None, 480)
    monkeypatch.setattr(label, "_MAX_BYTES", 4 * 64 * 64 * 3)
    with pytest.raises(
        ValueError, match=r"5 frames, 0 GB of pixels at 64 x 64.*Take --frames N, a smaller --short-side, or cut"
    ):
        label.check_file(clip, None, 480)
    assert label.check_file(clip, 4, 480) == label.check_file(clip, None, 32) == 12
