"""The graphs of three configurations, as lists of jobs: Snakemake builds them through its API and runs nothing.

Values of the configurations differ from each other and from the defaults, and everything has several shards, so that
nothing can be mistaken for another.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import yaml
from snakemake.utils import update_config

ROOT = Path(__file__).parents[2]
DEFAULT = yaml.safe_load((ROOT / "config.yaml").read_text())
SCENES = {
    "seed": 11,
    "source": {"min_solids": 1, "max_solids": 4, "solid_size": 1.3},
    "clips": {"height": 48, "width": 80, "num_frames": 17, "fps": 10.0, "train": 5, "evaluation": 4, "shard_clips": 2},
    "labels": {
        "entities": {"grid12": {"box_nms_threshold": 0.65}},
        "tracker": {"max_objects": 17, "dtype": "float16"},
        "cleanup": {"min_area_share": 0.002, "min_coverage": 0.41, "reprompt_below": 0.37},
        "depth": {
            "depthcrafter": {
                "base": None,
                "num_inference_steps": 6,
                "guidance_scale": 1.1,
                "window": 109,
                "overlap": 24,
                "max_side": 1023,
                "chunk_frames": 7,
                "offload": False,
                "seed": 5,
            },
            "depth_anything": {"batch_frames": 31, "normalise": "frame"},
        },
        "captions": {
            "captioner": "lab/captioner",
            "max_new_tokens": 99,
            "batch_clips": 3,
            "max_tokens": 40,
        },
    },
    "tasks": {
        "seg": {"colourings": 2, "min_color_distance": 12, "location_grid": 10},
        "normals": {"field_of_view": 50.0, "disparity_offset": 0.4},
    },
    "storage": {"depth_bits": 12},
    "encoding": {"batch_clips": 6, "vae_dtype": "float16", "text_dtype": "bfloat16"},
    "training": {"steps": 60, "batch_size": 4, "optimizer": "adamw", "warmup_steps": 5},
    "runs": {
        "seg_location": {"training": {"learning_rate": 2.0e-4}, "replicates": 2},
        "normals": {"tasks": {"normals": 1.0}},
    },
    "sampling": {
        "prompts": 3,
        "shard_prompts": 2,
        "codec": "h264",
        "caption": "brief",
        "num_inference_steps": 20,
        "guidance_scale": 2.5,
        "seed": 4321,
        "batch_size": 1,
        "acceleration": "mag_cache",
        "acceleration_threshold": 0.07,
    },
    "metrics": {"bootstrap_samples": 100, "codec_clips": 3, "runtime_repeats": 2},
    "report": {"examples": 3},
}
# Of which all is fetched, and what one run alone trains on passes.
PANDA = {
    "seed": 11,
    "source": {"kind": "panda70m", "path": "table.csv"},
    "panda70m": {
        "fetch": "plugin:json:loads",
        "gates": {
            "max_seconds": 50.0,
            "min_matching_score": 0.44,
            "desirable_only": False,
            "single_shot": False,
            "clips_per_video": 2,
        },
        "reserve": 0.6,
        "height": 360,
    },
    "clips": {"train": 5, "evaluation": 3, "shard_clips": 2},
    "storage": {"keep": "needed"},
    "encoding": {"text": "live", "text_dtype": "bfloat16"},
    "model": {"base": "lab/base@v1"},
    "labels": {
        "entities": {"entityseg": {"segmenter": "lab/segmenter"}},
        "tracker": {"checkpoint": "facebook/sam2.1-hiera-tiny"},
        "depth": {"depthcrafter": {"checkpoint": "lab/crafter", "base": "lab/svd"}},
    },
    "training": {"batch_size": 4},
    "report": {"contact_sheet": 2},
}
VIDEOS = {
    "seed": 11,
    "source": {"kind": "videos", "path": "videos", "captions": "captions.csv"},
    "clips": {"train": 5, "evaluation": 3, "shard_clips": 2},
}


def merged(changes: dict) -> dict:
    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    update_config(raw, changes)
    return raw


def graph(folder: Path, changes: dict, *targets: str) -> list[dict]:
    config = folder / "mine.yaml"
    config.write_text(yaml.safe_dump(changes))
    script = Path(__file__).with_name("dag_as_json.py")
    command = [sys.executable, str(script), str(config), str(folder / "work"), *targets]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def one(found: list[dict], rule: str, **wildcards) -> dict:
    """The one job of a rule with these wildcards."""
    matching = [
        job
        for job in found
        if job["rule"] == rule and all(job["wildcards"].get(name) == value for name, value in wildcards.items())
    ]
    assert len(matching) == 1, f"{rule} {wildcards}: {len(matching)} jobs"
    return matching[0]


def shards(folder: str, count: int, ending: str = "h5") -> list[str]:
    return [f"results/{folder}/{number}.{ending}" for number in range(count)]


def read(job: dict) -> dict[str, list[str]]:
    return {name: paths for name, paths in job["input"].items() if name or paths}


def told(job: dict) -> dict:
    return json.loads(job["params"]["job"])


# Names that the configuration of scenes has, in the order in which it has them.
ENTITIES, DEPTH = ("grid12", "entityseg", "grid8", "grid8_unfiltered"), ("depth_anything", "depthcrafter")
MULTI = ["video", "seg-pixelplanes-entityseg", "depth-spectral-depthcrafter", "text-plain"]
PAIRS = [
    "normals/normals", "seg_location/seg", "base/video", "seg/seg", "depth/depth", "multi/seg", "multi/depth",
    "multi_text/depth", "multi_30_70/depth", "multi_70_30/depth", "depth_anything/depth", "seg_grid8/seg",
    "seg_grid12/seg",
]  # fmt: skip
TAKEN = ["udpdiff/seg", "udpdiff/depth"]
