"""A run goes on after its folder, its source and its checkpoints have moved to other places."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from udpdiff import checkpoints
from udpdiff.video_io import write_mp4

ROOT = Path(__file__).parents[2]
TARGETS = ["results/depth/depth_anything/train/0.h5", "results/captions/train/0.parquet"]
SCALE = {
    "source": {"kind": "videos", "path": "films", "captions": "captions.csv"},
    "clips": {"evaluation_share": 0.5},
    "filters": {"min_sharpness": 0, "min_motion": 0, "max_cut_score": 1, "max_clipped_share": 1},
    "labels": {"depth": {"depth_anything": {"checkpoint": "weights/depth"}}},
}


@pytest.fixture
def lab(tmp_path):
    """A place with everything of a user's: videos, captions, a checkpoint, the configuration."""
    lab = tmp_path / "here"
    (lab / "films").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 255, (12, 8, 8, 3), dtype=np.uint8)
    for index in range(4):
        write_mp4(lab / f"films/{index}.mp4", np.roll(noise, index, 0).repeat(8, axis=1).repeat(8, axis=2), 8)
    (lab / "captions.csv").write_text("clip,caption\n" + "".join(f"{index}.mp4,Film {index}.\n" for index in range(4)))
    shutil.copytree(checkpoints.resolve("mini:depth_anything"), lab / "weights/depth")
    (lab / "mine.yaml").write_text(yaml.safe_dump(SCALE))
    return lab


def snakemake(lab: Path, *arguments: str) -> str:
    """All that is said of a run that succeeds."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--directory", lab / "work", "--configfile", lab / "mine.yaml",
         *arguments, "--", *TARGETS],
        capture_output=True, text=True, cwd=ROOT, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_run_that_moved_with_all_it_reads_has_nothing_to_do(lab):
    snakemake(lab, "--cores", "1")
    there = lab.rename(lab.with_name("another mount's"))
    told = snakemake(there, "-n", "--resources", "gpu=4")
    assert "Nothing to be done" in told, told
    # A checkpoint with other content is another one, in the same place too.
    config = there / "weights/depth/config.json"
    config.write_text(config.read_text() + "\n")
    assert "estimate_depth" in snakemake(there, "-n", "--quiet", "rules")
