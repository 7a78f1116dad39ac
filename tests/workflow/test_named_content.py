"""What lies behind a name that does not tell its content counts: mini checkpoints that are trained anew, plug-ins that are edited."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from every_job import changed
from rule_graphs import one

from udpdiff import checkpoints
from udpdiff.config.parsing import parse
from udpdiff.content_digests import remember_in
from udpdiff.workflow import named_content

KEYS = ("labels.tracker.checkpoint", "labels.depth.*", "metrics.*_encoder", "metrics.interpolator")


@pytest.fixture(autouse=True)
def forgetful():
    """Each process reads once; a test is several."""
    remember_in(None)
    yield
    remember_in(None)
    named_content._content.cache_clear()


def content(key: str = "seed", value=7) -> str:
    named_content._content.cache_clear()
    return named_content.named_content(parse(changed(key, value)), *KEYS)


@pytest.fixture
def minis(tmp_path, monkeypatch) -> Path:
    shutil.copytree(Path(checkpoints.__file__).parent, tmp_path / "checkpoints", ignore=shutil.ignore_patterns("*.py"))
    monkeypatch.setattr(checkpoints, "_FOLDER", tmp_path / "checkpoints")
    return tmp_path / "checkpoints"


def test_a_mini_checkpoint_that_changes_counts_where_it_is_loaded(minis):
    before = content()
    assert "mini:sam2#" in before and "mini:depth_anything#" in before and "mini:cropformer" not in before
    weights = next((minis / "sam2").glob("*.safetensors"))
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 1
    weights.write_bytes(data)
    after = content()
    assert {each for each in before.split() if each not in after} == {
        each for each in before.split() if each.startswith("mini:sam2#")
    }
    (minis / "cropformer/config.json").write_text("{}")
    assert content() == after


def test_a_plug_in_that_is_edited_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "frames_of_mine.py").write_text("def make(): return 1\n")
    before = content("metrics.interpolator", "plugin:frames_of_mine:make")
    (tmp_path / "frames_of_mine.py").write_text("def make(): return 2\n")
    after = content("metrics.interpolator", "plugin:frames_of_mine:make")
    assert before != after and "plugin:frames_of_mine:make#" in after
    assert "plugin" not in content("metrics.interpolator", "plugin:of_nobody:make")


def test_names_that_tell_all_are_not_looked_behind():
    assert "lab/tracker" not in content("labels.tracker.checkpoint", "lab/tracker@v1")


# Rule, its wildcards -> the mini checkpoints that the job is told of.
LOADED = [
    ("segment_entities", {"labeller": "entityseg", "split": "train", "shard": "0"}, "cropformer sam2"),
    ("segment_entities", {"labeller": "grid8", "split": "train", "shard": "0"}, "sam2"),
    ("estimate_depth", {"labeller": "depth_anything", "split": "train", "shard": "0"}, "depth_anything"),
    ("encode_latents", {"stream": "video", "split": "train", "shard": "0"}, "cogvideox"),
    ("encode_text", {"style": "plain", "split": "train", "shard": "0"}, "cogvideox"),
    ("write_captions", {"split": "train", "shard": "0"}, "cogvideox"),
    ("train", {"run": "seg"}, "cogvideox"),
    ("sample", {"run": "seg", "task": "seg", "shard": "0"}, "cogvideox"),
    *(
        ("extract_features", {"split": split, "shard": "0"}, "image_encoder subject_encoder video_encoder")
        for split in ("evaluation", "samples/seg/seg")
    ),
    ("codec_quality", {}, "cogvideox"),
    ("measure_runtime", {}, "cogvideox"),
]


@pytest.mark.parametrize(("rule", "wildcards", "names"), LOADED, ids=[f"{rule}-{names}" for rule, _, names in LOADED])
def test_every_job_that_loads_one_is_told(scenes, rule, wildcards, names):
    told = one(scenes, rule, **wildcards)["params"]["content"].split()
    assert [each.partition("#")[0] for each in told] == [f"mini:{name}" for name in names.split()]
    assert all(len(each.partition("#")[2]) == 12 for each in told)
