"""Which clips the splits hold, before any of them is made: names of scenes and of video files, by shard.

The splits share neither scenes nor source videos. Pure functions; the workflow calls them at every parse.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from udpdiff.clip import SPLITS
from udpdiff.config.data import Clips
from udpdiff.sources import splits

# Scenes of the training and the evaluation split come from disjoint ranges of seeds; the mini checkpoints were trained
# on seeds below the first.
FIRST_TRAIN_SEED = 5_000_000
FIRST_EVALUATION_SEED = 10_000_000
_SEED_STRIDE = 7_919
_SCENE = "scene-"
# Of a folder with more files than are asked for: so many more are kept to replace rejected ones, as a share.
RESERVE_SHARE = 0.5


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


@dataclass(frozen=True)
class VideoLists:
    """Which files of a folder serve.

    Attributes:
        shards: File names by split and shard.
        reserves: By split and shard, the files that take the place of rejected ones, in their order.
        unused: How many files neither split asks for.
    """

    shards: dict[str, list[list[str]]]
    reserves: dict[str, list[list[str]]]
    unused: int


def video_names(source_of: Mapping[str, str], captioned: Container[str], seed: int, clips: Clips) -> VideoLists:
    """Choose files by split and shard; the splits never share a source video.

    Of more files than are asked for, a random sample serves, those with a caption first; the next ones are the reserve.

    Args:
        source_of: File name -> source video, of the whole folder.
        captioned: Names of the files that can have a caption.
        seed: Of the split and the sample.
        clips: How many, at most, and in which shards.

    Raises:
        ValueError: All files are of one source.
    """
    captioned_sources = {source for name, source in source_of.items() if name in captioned}
    sources = captioned_sources if len(captioned_sources) > 1 else set(source_of.values())
    wanted = min(clips.evaluation, max(1, round(clips.evaluation_share * len(sources))))
    split_of = splits.split_sources(sources, wanted, seed)
    files: dict[str, list[str]] = {split: [] for split in SPLITS}
    for name, source in source_of.items():
        files[split_of.get(source, "train")].append(name)
    shards, reserves = {}, {}
    for split, names in files.items():
        count = getattr(clips, split)
        if len(names) > count:
            names = sorted(names, key=lambda name: (name not in captioned, splits.rank(name, seed)))
        rest = names[count : count + round(RESERVE_SHARE * count)]
        shards[split] = splits.assign_shards(sorted(names[:count]), clips.shard_clips)
        reserves[split] = [rest[number :: len(shards[split])] for number in range(len(shards[split]))]
    used = sum(len(shard) for lists in (shards, reserves) for split in lists.values() for shard in split)
    return VideoLists(shards, reserves, len(source_of) - used)
