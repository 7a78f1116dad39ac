"""Which clips and shards there are, and where their files stand: the part of the workflow that knows no run.

Pure functions of a checked configuration, but for the names of a folder of videos.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Self

from udpdiff.clip import SPLITS
from udpdiff.config.schema import Config
from udpdiff.config_values import ConfigError
from udpdiff.sources import captions_csv, clip_lists, folder_notices, source_names, splits, videos
from udpdiff.sources.captions_csv import ClipTable
from udpdiff.sources.clip_lists import VideoLists
from udpdiff.sources.source_names import Grouping
from udpdiff.tasks import get_task

VIDEO = "video"  # the stream that every model has, and the task of a model without another
CHECKED_CLIPS = "results/clips/checked.json"  # both splits hold enough of them
CHOSEN = "results/panda70m/chosen.parquet"  # the clips of Panda-70M that are asked for


@dataclass(frozen=True)
class ClipSet:
    """The clips of a checked configuration.

    missing: what only the user can give, as the message to show when a job first needs it; None when nothing is missing.
    places: where on this machine checkpoints are that the configuration names by `folder:` or `i3d:`.
    """

    config: Config
    missing: str | None = None
    places: dict[str, str] = field(default_factory=dict)

    # Clips and shards

    @cached_property
    def shards(self) -> dict[str, list[list[str]]]:
        """split -> shards -> clip ids; of Panda-70M, whose clips a job chooses, numbers."""
        config = self.config
        if config.source.kind == "scenes":
            return {split: clip_lists.scene_names(split, config.seed, config.clips) for split in SPLITS}
        if config.source.kind == "videos" and config.source.path:
            return self.chosen.shards
        counted = {split: range(getattr(config.clips, split)) for split in SPLITS}
        return {split: splits.assign_shards(counted[split], config.clips.shard_clips) for split in SPLITS}

    @cached_property
    def files(self) -> dict[str, Path]:
        """File name -> video file, for a folder of videos."""
        return {path.name: path for path in videos.list_videos(self.config.source.path)}

    @cached_property
    def table(self) -> ClipTable:
        """What the csv says of the files, for a folder of videos."""
        path = self.config.source.captions
        return captions_csv.read_clip_table(path, self.files) if path else ClipTable()

    @property
    def captioned(self) -> bool:
        """Whether a csv has the captions of a folder of videos, or a captioner writes them."""
        return self.table.has_captions

    @cached_property
    def grouping(self) -> Grouping:
        """The source video of each file, for a folder of videos."""
        return source_names.group(self.files, self.table.sources)

    @cached_property
    def chosen(self) -> VideoLists:
        """Which files serve, for a folder of videos."""
        usable = self.table.captions if self.captioned else self.files
        return clip_lists.video_names(self.grouping.source_of, usable, self.config.seed, self.config.clips)

    def notices(self) -> list[str]:
        """What to tell of the source before any job, in sentences."""
        source = self.config.source
        if source.kind != "videos" or not source.path or self.missing:
            return []
        notices = [
            folder_notices.grouping_notice(self.grouping),
            folder_notices.unused_notice(self.chosen.unused, len(self.files)),
            folder_notices.ignored_notice(source.path, self.files),
            folder_notices.unknown_notice(self.table.unknown),
            folder_notices.uncaptioned_notice(self.files, self.table.captions) if self.captioned else None,
        ]
        return [sentence for sentence in notices if sentence]

    def shard_numbers(self, split: str) -> range:
        """Numbers of the shards of a split: train, evaluation or samples/RUN/TASK."""
        if split not in SPLITS:
            return range(ceil(self.prompt_count / self.config.sampling.shard_prompts))
        if self.config.source.kind == "panda70m":
            return range(ceil(getattr(self.config.clips, split) / self.config.clips.shard_clips))
        return range(len(self.shards[split]))

    @property
    def prompt_count(self) -> int:
        """How many prompts are sampled at most: fewer when the evaluation split holds fewer."""
        return min(self.config.sampling.prompts, sum(map(len, self.shards["evaluation"])))

    def complete(self) -> Self:
        """This workflow, for jobs that need what only the user can give; planning needs none of it.

        Raises:
            ConfigError: Something of it is missing.
        """
        if self.missing:
            raise ConfigError(self.missing)
        return self

    def enough(self, *kinds: str) -> list[str]:
        """An input of jobs that wait, with a source of one of these kinds, until both splits are known to hold enough clips.

        Scenes always are enough. Labels of Panda-70M do not wait for its last download, trainings do anyway.
        """
        return [CHECKED_CLIPS] if self.config.source.kind in kinds else []

    def clip_summaries(self) -> list[str]:
        """Figures of all shards of clips of both splits."""
        return [f"results/clips/{split}/{shard}.json" for split in SPLITS for shard in self.shard_numbers(split)]

    def first_shards(self, clips: int, *splits: str) -> list[tuple[str, int]]:
        """As many shards of the splits, in their order, as hold so many clips; all where there are fewer."""
        count, chosen = 0, []
        for split in splits:
            for number, names in enumerate(self.shards[split]):
                if count >= clips:
                    return chosen
                count += len(names)
                chosen.append((split, number))
        return chosen

    # Paths

    def shard_paths(self, folder: str, split: str) -> list[str]:
        """All shards of a folder of results (`clips`, `entities/NAME`, ...) on one split."""
        return [f"results/{folder}/{split}/{shard}.h5" for shard in self.shard_numbers(split)]

    def clip_shard(self, split: str, shard: int | str) -> str:
        """A shard of clips: of the data set, or generated ones."""
        return f"results/{split}/{shard}.clips.h5" if split not in SPLITS else f"results/clips/{split}/{shard}.h5"

    def caption_tables(self, split: str) -> list[str]:
        return [f"results/captions/{split}/{shard}.parquet" for shard in self.shard_numbers(split)]

    def label_folders(self, kind: str) -> list[str]:
        """Folders of every labeller of a kind."""
        return [f"{kind}/{name}" for name in getattr(self.config.labels, kind)]

    def variant_shards(self, kind: str, split: str) -> list[str]:
        """All shards of every labeller of a kind on one split."""
        return [path for folder in self.label_folders(kind) for path in self.shard_paths(folder, split)]

    def judge_folder(self, kind: str) -> str:
        return f"{kind}/{getattr(self.config.metrics.judges, kind)}"

    def stream_source(self, stream: str, split: str, shard: int | str) -> str:
        """The shard that a stream of latents is encoded from: clips, or a labeller's."""
        if stream == VIDEO:
            return self.clip_shard(split, shard)
        task, _, labeller = stream.split("-")
        return f"results/{get_task(task).labels}/{labeller}/{split}/{shard}.h5"
