"""Names of scenes: which seeds the splits draw from, at every scale."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from snakemake.utils import update_config

from udpdiff.config.data import Clips
from udpdiff.sources.clip_lists import FIRST_TRAIN_SEED, scene_names, scene_seed

ROOT = Path(__file__).parents[2]


def clips_of(preset: str | None) -> Clips:
    raw = yaml.safe_load((ROOT / "config.yaml").read_text())
    if preset:
        update_config(raw, yaml.safe_load((ROOT / f"presets/{preset}.yaml").read_text()))
    return Clips(**raw["clips"])


@pytest.mark.parametrize("seed", [0, 7, 1000])
@pytest.mark.parametrize("preset", [None, "rehearsal", "paper"])
def test_no_scene_is_in_both_splits_or_in_the_mini_checkpoints(preset, seed):
    """300,000 training scenes at the paper's count; the mini checkpoints were trained below the first."""
    clips = clips_of(preset)
    seeds = {
        split: [scene_seed(name) for shard in scene_names(split, seed, clips) for name in shard]
        for split in ("train", "evaluation")
    }
    for split, own in seeds.items():
        assert len(own) == len(set(own)) == getattr(clips, split) and min(own) >= FIRST_TRAIN_SEED == 5_000_000
    assert not set(seeds["train"]) & set(seeds["evaluation"])
