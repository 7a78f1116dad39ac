"""A checkpoint of the hub through the real workflow: fetched first, loaded offline, its commit in what is made with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small_hub import SmallHub, serve
from snakemake.utils import update_config

from udpdiff import checkpoints, preflight
from udpdiff.checkpoints import hub
from udpdiff.storage.shards import ShardReader
from udpdiff.workflow import prefetching

ROOT = Path(__file__).parents[2]
SHARD = "results/depth/depth_anything/train/0.h5"
SCALE = {
    "clips": {"train": 2, "evaluation": 2},
    "labels": {"depth": {"depth_anything": {"checkpoint": "lab/depth"}}},
}


@pytest.fixture
def served():
    small = SmallHub()
    small.add_folder("lab/depth", Path(checkpoints.resolve("mini:depth_anything")))
    with serve(small):
        yield small


def snakemake(folder: Path, small: SmallHub, *arguments: str) -> str:
    """All that is said of a run that succeeds."""
    (folder / "mine.yaml").write_text(yaml.safe_dump(SCALE))
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "HF_"))}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--directory", folder / "work", "--configfile", folder / "mine.yaml",
         "--cores", "1", *arguments],
        capture_output=True, text=True, cwd=ROOT,
        env=environment | {"HF_ENDPOINT": small.endpoint, "HF_HOME": str(folder / "cache")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_commit_stays_until_it_is_fetched_anew_and_a_moved_one_makes_its_labels_again(served, tmp_path):
    told = snakemake(tmp_path, served, "--", SHARD)
    first = served.commit("lab/depth")
    assert told.index(": check_checkpoints (log: logs/") < told.index(": fetch_checkpoint (log: logs/")
    assert max(map(len, told.splitlines())) < 500 and "reckoned" not in told, "of these models' speed nothing is known"
    record = json.loads((tmp_path / "work/results/checkpoints/lab--depth.json").read_text())
    assert record["commit"] == first
    with ShardReader(tmp_path / "work" / SHARD) as shard:
        assert shard.attrs["checkpoints"] == {"lab/depth": first} and len(shard) == 2
    # The job itself asked for nothing.
    assert {path.split("/")[1] for path in served.asked} == {"api", "lab"}
    assert served.asked.count(f"/lab/depth/resolve/{first}/model.safetensors") <= 2, "its size, and itself"

    served.repositories["lab/depth"]["config.json"] += b"\n"
    served.asked.clear()
    assert "Nothing to be done" in snakemake(tmp_path, served, "-n", "--", SHARD) and not served.asked
    anew = ["--forcerun", "fetch_checkpoint", "--", "prefetch"]
    snakemake(tmp_path, served, *anew)
    assert "estimate_depth" in snakemake(tmp_path, served, "-n", "--", SHARD)

    served.repositories["lab/depth"]["config.json"] = served.repositories["lab/depth"]["config.json"][:-1]
    snakemake(tmp_path, served, *anew)
    assert "Nothing to be done" in snakemake(tmp_path, served, "-n", "--", SHARD), "fetched anew, at the same commit"


def test_the_default_configuration_asks_the_hub_for_nothing():
    assert prefetching.named(preflight.check(yaml.safe_load((ROOT / "config.yaml").read_text())).config) == {}


def test_of_each_checkpoint_of_the_papers_scale_what_is_read_is_fetched():
    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    update_config(raw, yaml.safe_load((ROOT / "presets/paper.yaml").read_text()))
    named = prefetching.named(preflight.check(raw).config)
    wanted = prefetching.wanted(named)
    assert len(wanted) == 10 and wanted["THUDM/CogVideoX-5b"] == tuple(sorted(hub.BASE))
    assert wanted["stabilityai/stable-video-diffusion-img2vid-xt"] == tuple(sorted(hub.STABLE_VIDEO))
    assert wanted["facebook/sam2.1-hiera-large"] == hub.SAM2 and wanted["tencent/DepthCrafter"] == hub.TOP
    assert prefetching.records(named, "labels.depth.depthcrafter.*") == [
        "results/checkpoints/tencent--DepthCrafter.json",
        "results/checkpoints/stabilityai--stable-video-diffusion-img2vid-xt.json",
    ]


HUB = {
    "model": {"base": "lab/base@v1"},
    "labels": {
        "entities": {"entityseg": {"segmenter": "lab/segmenter"}},
        "tracker": {"checkpoint": "facebook/sam2.1-hiera-tiny"},
        "depth": {"depthcrafter": {"checkpoint": "lab/crafter", "base": "lab/svd"}},
        "captions": {"captioner": "lab/captioner"},
    },
    "metrics": {"subject_encoder": "lab/s", "image_encoder": "lab/i", "video_encoder": "lab/v"},
}


def test_every_job_that_loads_a_checkpoint_waits_for_its_record(tmp_path):
    raw = yaml.safe_load((ROOT / "tests/smoke.yaml").read_text())
    update_config(raw, HUB)
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(raw))
    script = ROOT / "tests/workflow/dag_as_json.py"
    command = [sys.executable, script, tmp_path / "mine.yaml", tmp_path / "work"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    waits: dict[tuple, set[str]] = {}
    for job in json.loads(done.stdout):
        key = (job["rule"].replace("_run_", "_"), job["wildcards"].get("labeller", ""))
        if "gpu" in job["resources"] or job["rule"] == "write_captions":
            paths = [Path(path).stem for path in job["input"]["records"]]
            waits.setdefault(key, set()).add(" ".join(sorted(paths)))
    base = {"lab--base@v1"}
    sam2, crafter = "facebook--sam2.1-hiera-tiny", "lab--crafter lab--svd"
    assert waits == {
        **{
            (rule, ""): base
            for rule in (
                "encode_latents",
                "encode_text",
                "train",
                "sample",
                "sample_video",
                "codec_quality",
                "measure_runtime",
            )
        },
        ("segment_entities", "entityseg"): {f"{sam2} lab--segmenter"},
        **{("segment_entities", name): {sam2} for name in ("grid8", "grid12", "grid8_unfiltered")},
        ("estimate_depth", "depthcrafter"): {crafter},
        ("estimate_depth", "depth_anything"): {""},
        ("write_captions", ""): {"lab--base@v1 lab--captioner"},
        ("extract_features", ""): {"lab--i lab--s lab--v"},
    }
