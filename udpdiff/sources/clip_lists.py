"""Which clips the splits hold, before any of them is made: names of scenes and of video files, by shard.

The splits share neither scenes nor source videos. Pure functions; the workflow calls them at every parse.
"""

from __future__ import annotations

from collections.abc import Iterable

from udpdiff.config_data import Clips
from udpdiff.sources import splits

# Scenes of the training and the evaluation split come from disjoint ranges of seeds; the mini checkpoints were trained
# on seeds below the first.
FIRST_TRAIN_SEED = 5_000_000
FIRST_EVALUATION_SEED = 10_000_000
_SEED_STRIDE = 7_919
_SCENE = "scene-"


def scene_names(split: str, seed: int, clips: Clips) -> list[list[str]]:
    """Return the clip ids `scene-SEED` of one split, by shard."""
    first = {"train": FIRST_TRAIN_SEED, "evaluation": FIRST_EVALUATION_SEED}[split] + seed * _SEED_STRIDE
    names = [scene_name(first + index) for index in range(getattr(clips, split))]
    return splits.assign_shards(names, clips.shard_clips)


def scene_name(seed: int) -> str:
    """Return the clip id of the scene that is drawn from a seed."""
    return f"{_SCENE}{seed}"


def scene_seed(name: str) -> int:
    """Return the seed that a scene's clip id names."""
    return int(name.removeprefix(_SCENE))


def video_names(files: Iterable[str], seed: int, clips: Clips) -> dict[str, list[list[str]]]:
    """Return file names by split and shard; the splits never share a source video."""
    source_of = {name: splits.source_of(name) for name in files}
    wanted = min(clips.evaluation, max(1, round(clips.evaluation_share * len(set(source_of.values())))))
    split_of = splits.split_sources(list(source_of.values()), wanted, seed)
    chosen = {
        split: [name for name, source in source_of.items() if split_of[source] == split] for split in splits.SPLITS
    }
    return {
        split: splits.assign_shards(names[: getattr(clips, split)], clips.shard_clips)
        for split, names in chosen.items()
    }
