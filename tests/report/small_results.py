"""A small results folder with everything that the report reads, full of text that must stay text."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml

from scripts import label_quality
from udpdiff.sources.scenes import SceneSettings, render_clip
from udpdiff.storage.captions import Caption, CaptionWriter
from udpdiff.storage.shards import ShardWriter
from udpdiff.video_io import encode_mp4

ROOT = Path(__file__).parents[2]
HOSTILE = "<script>alert('x')</script> & \"quoted\" <img src=http://example.com/x.png>"
SIZE = {"height": 32, "width": 32, "num_frames": 5, "fps": 8}
VARIANTS = {"entities": ("entityseg", "merged"), "depth": ("depth_anything", "pumping")}


def small_settings(kind: str = "scenes") -> dict:
    """The default configuration with two runs and two labelling variants of each kind."""
    settings = yaml.safe_load((ROOT / "config.yaml").read_text())
    settings["source"]["kind"] = kind
    settings["runs"] = {"base": {"tasks": {}}, "multi": {"tasks": {"seg": 0.5, "depth": 0.5}}}
    for labels, (first, second) in VARIANTS.items():
        told = settings["labels"][labels][first]
        settings["labels"][labels] = {first: told, second: told}
        settings["metrics"][f"judge_{labels}"] = first
    return settings


def clip_ids(split: str) -> list[str]:
    return [f"{split} <b>clip</b> {index}" for index in range(3)]


def write_results(results: Path) -> None:
    """Three scenes per split. `entityseg` and `depth_anything` label as the truth says; `merged` takes all solids for
    ground and refuses the last clip, `pumping` changes its depths from frame to frame.
    """
    for split, first_seed in (("train", 0), ("evaluation", 10)):
        scenes = [render_clip(SceneSettings(**SIZE), first_seed + index) for index in range(3)]
        write_clips(results, split, scenes)
        write_labels(results, split, scenes)
    write_samples(results, scenes[0])
    log = [
        {"step": step, "loss": 1 / step, "loss_video": 0.5, "loss_timestep": [0.4, 0.3, 0.2, 0.1]} for step in (1, 2, 3)
    ]
    (results / "training/base").mkdir(parents=True)
    (results / "training/base/train.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in log))
    (results / "table1.csv").write_text(
        "model,run,task,subject_consistency_ours,subject_consistency_ours_low,subject_consistency_ours_high,"
        "subject_consistency_paper,n_videos,subject_consistency_extractor\n"
        "CogVideoX 5B,base,video,88.5,87.1,89.9,94.57,1,mini:subject_encoder\n"
    )


def write_clips(results, split, scenes):
    attrs = SIZE | {"source": "scenes"}
    with (
        ShardWriter(results / f"clips/{split}/0.h5", "clips", attrs) as clips,
        ShardWriter(results / f"truth/{split}/0.h5", "truth", attrs) as truth,
    ):
        for clip_id, scene in zip(clip_ids(split), scenes, strict=True):
            words = {"brief": HOSTILE, "detailed": HOSTILE, "source_id": "clip"}
            clips.add(clip_id, {"video_mp4": encode_mp4(scene.video, 8)} | words, {"motion": 1.0})
            exact = {name: getattr(scene, name) for name in ("entity_ids", "z", "flow", "normals", "camera")}
            truth.add(clip_id, exact | {"scene": json.dumps(scene.scene)})
        clips.reject("<i>bad</i>.mp4", "broken: <b>no</b>")
        truth.reject("<i>bad</i>.mp4", "broken: <b>no</b>")
    with CaptionWriter(results / f"captions/{split}/0.parquet", {}) as table:
        for name in clip_ids(split):
            table.add(name, Caption(HOSTILE, "x", 9), Caption(HOSTILE, "x", 9))
        table.reject(f"{split} <i>wordless</i>", "looping caption: <b>no</b>")


def write_labels(results, split, scenes):
    for variant in VARIANTS["entities"]:
        with ShardWriter(results / f"entities/{variant}/{split}/0.h5", "entities", {}) as shard:
            for clip_id, scene in zip(clip_ids(split), scenes, strict=True):
                ids = scene.entity_ids if variant == "entityseg" else np.minimum(scene.entity_ids, 2)
                if variant == "merged" and clip_id.endswith("2"):
                    shard.reject(clip_id, "low coverage: <b>0.1</b>")
                    continue
                shard.add(clip_id, {"entity_ids": ids}, {"coverage": 1.0, "entities": float(len(np.unique(ids)))})
    for variant in VARIANTS["depth"]:
        with ShardWriter(results / f"depth/{variant}/{split}/0.h5", "depth", {}) as shard:
            for clip_id, scene in zip(clip_ids(split), scenes, strict=True):
                shard.add(clip_id, {"depth": exact_depth(scene.z, 0.03 * (variant == "pumping"))})


def exact_depth(z, pump):
    """Disparity as depth shards store it; every other frame is off by `pump` of the range."""
    near = (1 / z - 1 / z.max()) / (1 / z.min() - 1 / z.max())
    pumped = 0.1 + 0.8 * near + pump * (np.arange(len(z)) % 2)[:, None, None]
    return np.round(pumped * 65535).astype(np.uint16)


def write_samples(results, scene):
    attrs = {"fps": 8, "task": "video", "run": "base"}
    with ShardWriter(results / "samples/base/video/samples.h5", "videos", attrs) as shard:
        shard.add("clip", {"video": scene.video, "prompt": HOSTILE})
    for task, prediction in (("seg", scene.entity_ids), ("depth", exact_depth(scene.z, 0))):
        attrs = {"fps": 8, "task": task, "run": "multi"}
        with ShardWriter(results / f"samples/multi/{task}/samples.h5", "predictions", attrs) as shard:
            dense = {"video": scene.video, "dense": scene.video, "prediction": prediction, "prompt": HOSTILE}
            shard.add("clip", dense)


def measure_labels(results: Path, monkeypatch) -> Path:
    """labels.json, by the script that the workflow runs."""
    path = results / "metrics/labels.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    settings = {key: small_settings()[key] for key in ("seed", "metrics")}
    arguments = ["label_quality", "--settings", json.dumps(settings), "--quality", str(path)]
    arguments += ["--truth", str(results / "truth/evaluation/0.h5")]
    for kind, variants in VARIANTS.items():
        arguments += [f"--{kind}", *(str(results / kind / variant / "evaluation/0.h5") for variant in variants)]
    monkeypatch.setattr(sys, "argv", arguments)
    label_quality.main()
    return path


class Links(HTMLParser):
    """Every reference of a page and every tag it uses."""

    def __init__(self):
        super().__init__()
        self.found, self.tags = [], set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.found += [value for name, value in attrs if name in ("src", "href", "poster", "data")]


def open_in_browser(page: Path, folder: Path, width: int) -> tuple[str, Path]:
    """The page as headless Chromium has built it, and a picture of it; skips the test where there is none."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    shot = folder / "page.png"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars"]
    dump = subprocess.run(
        [browser, *flags, f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900",
         f"--screenshot={shot}", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return dump.stdout, shot
