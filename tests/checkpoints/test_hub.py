"""Checkpoints of the hub: what is fetched of them, what is on record, and what is said of those that cannot be had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_hub import SmallHub, serve

from udpdiff import jobs
from udpdiff.checkpoints import hub, places
from udpdiff.storage.sealed import read_record

ROOT = Path(__file__).parents[2]
FILES = {"config.json": b"{}", "model.safetensors": b"weights", "pytorch_model.bin": b"again", "README.md": b"words"}


@pytest.fixture
def served():
    with serve(SmallHub({"lab/model": dict(FILES), "lab/closed": dict(FILES)}, gated={"lab/closed"})) as small:
        yield small


def python(folder: Path, small: SmallHub, *words: str, **variables: str) -> subprocess.CompletedProcess:
    """The client reads the hub's address and its cache's place from the environment when it is imported."""
    told = {"HF_ENDPOINT": small.endpoint, "HF_HOME": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "CHECKPOINTS"))}
    return subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, cwd=folder, env=environment | told | variables
    )


def fetch(folder: Path, small: SmallHub, reference: str = "lab/model", **variables: str) -> dict:
    job = jobs.FetchCheckpoint(reference=reference, parts=hub.TOP).dump()
    record = folder / f"records/{hub.record_name(reference)}.json"
    done = python(folder, small, "-m", "scripts.fetch_checkpoint", "--job", job, "--record", str(record), **variables)
    assert done.returncode == 0, done.stderr
    return read_record(record)


def where(folder: Path, small: SmallHub, reference: str, **variables: str) -> subprocess.CompletedProcess:
    code = f"from udpdiff.checkpoints import local_folder; print(local_folder({reference!r}))"
    return python(folder, small, "-c", code, **variables)


def test_all_that_cannot_be_fetched_is_told_at_once(served, tmp_path):
    references = ("lab/model", "lab/closed", "lab/modle", "lab/model@v9")
    job = jobs.CheckCheckpoints(references=references).dump()
    done = python(tmp_path, served, "-m", "scripts.check_checkpoints", "--job", job, "--checked", "checked.json")
    assert done.returncode != 0 and not (tmp_path / "checked.json").exists()
    told = dict(line.strip().split(": ", 1) for line in done.stderr.splitlines()[1:])
    assert told.keys() == {"lab/closed", "lab/modle", "lab/model@v9"}
    assert f"ask for access at {served.endpoint}/lab/closed" in told["lab/closed"]
    assert "no such model" in told["lab/modle"] and "no revision 'v9'" in told["lab/model@v9"]
    assert not [path for path in served.asked if "/resolve/" in path], "nothing was downloaded"


def test_a_hub_that_is_not_reached_is_told_in_one_line(served, tmp_path):
    job = jobs.CheckCheckpoints(references=("lab/model", "lab/closed")).dump()
    words = ["-m", "scripts.check_checkpoints", "--job", job, "--checked", "checked.json"]
    done = python(tmp_path, served, *words, HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode != 0 and len(done.stderr.splitlines()) == 2, done.stderr
    assert "is not reached from this machine" in done.stderr and "HF_HUB_OFFLINE=1" in done.stderr


def test_what_is_read_is_fetched_once_and_recorded_with_its_commit(served, tmp_path):
    record = fetch(tmp_path, served)
    commit = served.commit("lab/model")
    assert record == {"reference": "lab/model", "commit": commit, "files": ["config.json", "model.safetensors"]}
    assert {path.rpartition("/")[2] for path in served.asked if "/resolve/" in path} == set(record["files"])


def test_jobs_read_the_commit_on_record_without_asking(served, tmp_path):
    first = fetch(tmp_path, served)["commit"]
    told = {places.VARIABLE: json.dumps({"places": {}, "records": str(tmp_path / "records")}), "HF_HUB_OFFLINE": "1"}
    served.repositories["lab/model"]["model.safetensors"] = b"newer"
    assert where(tmp_path, served, "lab/model").stdout.strip().endswith(served.commit("lab/model")), "a library user's"
    served.asked.clear()
    found = where(tmp_path, served, "lab/model", **told)
    assert found.stdout.strip().endswith(first) and (Path(found.stdout.strip()) / "config.json").is_file()
    assert not served.asked
    assert fetch(tmp_path, served)["commit"] == served.commit("lab/model") != first


def test_a_revision_is_fetched_as_named(served, tmp_path):
    reference = f"lab/model@{served.commit('lab/model')}"
    assert fetch(tmp_path, served, reference)["commit"] == served.commit("lab/model")


def test_offline_a_cache_that_was_copied_serves_and_a_missing_checkpoint_is_explained(served, tmp_path):
    fetched = fetch(tmp_path, served)
    assert fetch(tmp_path, served, HF_HUB_OFFLINE="1") == fetched
    found = where(tmp_path, served, "lab/closed", HF_HUB_OFFLINE="1")
    assert found.returncode != 0 and "lab/closed" in found.stderr.splitlines()[-1] and "prefetch" in found.stderr


def test_of_a_repository_only_what_is_read_is_chosen():
    stable_video = [
        "README.md", "svd_xt.safetensors", "model_index.json", "unet/model.safetensors", "vae/config.json",
        "vae/model.safetensors", "vae/model.fp16.safetensors", "image_encoder/model.safetensors", "scheduler/a.json",
    ]  # fmt: skip
    assert hub.chosen_files(stable_video, hub.STABLE_VIDEO) == [
        "image_encoder/model.safetensors", "model_index.json", "scheduler/a.json", "vae/config.json",
        "vae/model.fp16.safetensors",
    ]  # fmt: skip
    sam2 = ["config.json", "model.safetensors", "sam2.1_hiera_large.pt"]
    assert hub.chosen_files(sam2, hub.SAM2) == ["sam2.1_hiera_large.pt"]
    assert hub.chosen_files(["config.json", "pytorch_model.bin", "tf_model.h5"], hub.TOP) == [
        "config.json",
        "pytorch_model.bin",
    ]


@pytest.mark.parametrize(
    "reference, parts",
    [
        ("THUDM/CogVideoX-5b", ("THUDM/CogVideoX-5b", None)),
        ("a/b@refs/pr/3", ("a/b", "refs/pr/3")),
        ("mini:cogvideox", None),
        ("folder:base#0123", None),
        ("./a/b", None),
        ("/a/b", None),
    ],
)
def test_references_to_the_hub_are_told_from_others(reference, parts):
    assert hub.split(reference) == parts


def test_a_folders_name_follows_its_content_wherever_it_is(tmp_path, monkeypatch):
    for place in ("here", "there"):
        (tmp_path / place / "base" / "vae").mkdir(parents=True)
        (tmp_path / place / "base" / "vae" / "config.json").write_text("{}")
    here, there = (places.name_of(str(tmp_path / place / "base")) for place in ("here", "there"))
    assert here == there and here.startswith("folder:base#")
    with pytest.raises(ValueError, match="name that a workflow gave"):
        places.place_of(here)
    monkeypatch.setenv(places.VARIABLE, json.dumps({"places": {here: "/elsewhere/base"}, "records": None}))
    assert places.place_of(here) == "/elsewhere/base"
