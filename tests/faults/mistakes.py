"""Mistakes that a configuration file may hold, each with the key that its refusal names."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from source_runs import TABLE_COLUMNS

NAMES = ("a; touch pwned; #", "$(touch pwned)", "../up", "with space", "{x}", "-n", "größe", "a/b", "", "A" * 300)


def mistakes(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    """Return (dotted key, configuration); files and folders that values name are made in `folder`."""
    (folder / "empty").mkdir()
    (folder / "table.csv").write_text("videoID,url\nx,y\n")
    (folder / "good.csv").write_text(",".join(TABLE_COLUMNS) + "\n")
    (folder / "broken").mkdir()
    for number in range(12):
        (folder / "broken" / f"film{number}.mp4").write_bytes(b"no film")
    (folder / "captions.csv").write_text("clip,caption\n" + "".join(f"film{n}.mp4,words\n" for n in range(12)))
    (folder / "columns.csv").write_text("name,text\na,b\n")
    videos = {"kind": "videos", "path": str(folder / "broken"), "captions": str(folder / "captions.csv")}
    values: dict[str, list[Any]] = {
        "seed": [-1, 1.5, "seven", 2**64],
        "device": ["gpu", "cuda:x", 3],
        "source.kind": ["film", None],
        "source.min_solids": [0, 9],
        "source.solid_size": [-1, math.inf, math.nan],
        "clips.height": [8, 63, 0, "64px"],
        "clips.fps": [5000, 0.0001, math.inf, math.nan, 0],
        "clips.num_frames": [12, 0, -9],
        "clips.train": [10**9, 0, 1.5],
        "clips.evaluation": [1, 0],
        "clips.shard_clips": [0],
        "filters.max_near_black_share": [-0.1, 1.5],
        "labels.max_failed_share": [2],
        "labels.tracker.checkpoint": ["mini:nope", "mini:cogvideox", "folder/that/is/not/there", str(folder / "empty")],
        "labels.tracker.dtype": ["float8"],
        "labels.tracker.max_objects": [0],
        "labels.captions.max_tokens": [10**6],
        "labels.depth.depthcrafter.checkpoint": ["mini:sam2"],
        "labels.entities.entityseg.segmenter": ["mini:depthcrafter", None],
        "labels.entities.entityseg.score_threshold": [2],
        "model.base": [str(folder / "empty"), "mini:sam2", "mini:nope"],
        "model.init_in": ["random"],
        "training.steps": [0, -5, "many"],
        "training.learning_rate": [math.inf, math.nan, -1],
        "training.batch_size": [0],
        "training.gradient_accumulation_steps": [3],
        "training.optimizer": ["sgd"],
        "training.mixed_precision": ["fp8", "float16"],
        "training.lora_rank": [0],
        "training.stepz": [3],
        "sampling.prompts": [0, 1],
        "sampling.dtype": ["half"],
        "sampling.num_inference_steps": [0, 10**6],
        "metrics.interpolator": ["amt", "plugin:nope:f", "plugin:os", "plugin:own:nope"],
        "metrics.video_encoder": ["i3d:file.pt", "mini:sam2"],
        "metrics.judges.entities": ["nobody"],
        "metrics.bootstrap_samples": [0],
        "report.tables": [[10], ["one"]],
        "report.goals": [["labels.entity_miou > much"]],
        "runs.multi": [{"tasks": {"seg": 2.0}}, {"tasks": {"flow": 1.0}}, {"depth": "nobody"}],
        "storage.depth_bits": [9],
        "encoding.vae_dtype": ["int8"],
    }
    found = [(key, _nested(key, value)) for key, each in values.items() for value in each]
    entity = {"segmenter": "mini:cropformer", "score_threshold": 0.5}
    for name in NAMES:
        found += [("runs", {"runs": {name: {"tasks": {"seg": 1.0}}}})]
        found += [("labels.entities", {"labels": {"entities": {name: entity}}})]
    panda = {"kind": "panda70m", "path": str(folder / "good.csv")}
    found += [
        ("panda70m.fetch", {"source": panda, "panda70m": {"fetch": fetch}}) for fetch in ("plugin:nope:f", "curl")
    ]
    sources = (
        ("source.path", {"kind": "videos", "path": "folder/that/is/not/there"}),
        ("source.path", {"kind": "videos", "path": str(folder / "empty")}),
        ("source.path", videos),
        ("source.path", {"kind": "panda70m", "path": str(folder / "table.csv")}),
        ("source.captions", videos | {"captions": str(folder / "columns.csv")}),
        ("source.captions", videos | {"captions": None}),
        ("source.captions", videos | {"captions": "not_there.csv"}),
    )
    return found + [(key, {"source": source}) for key, source in sources]


def _nested(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


# Files that are no configuration at all: what stands in them, and words of the refusal, most in Snakemake's own words.
NO_CONFIGURATIONS = {
    "no yaml": (b"seed: [7\n", "yaml"),
    "a list": (b"- seed\n", "keys at top level"),
    "a python object": (b"seed: !!python/object/apply:os.system ['touch pwned']\n", "yaml"),
    "a key twice": (b"seed: 7\nseed: 8\n", "seed"),
    "empty keys": (b"training:\n  {steps: 3, : 4}\n", "not valid JSON or YAML"),
}
# Snakemake reads --configfile before it knows this project, and meets these with a traceback of its own.
UNREADABLE = {
    "latin-1": ("seed: 7 # größe".encode("latin-1"), "UnicodeDecodeError"),
    "a file that is not there": (None, "No such file or directory"),
}
