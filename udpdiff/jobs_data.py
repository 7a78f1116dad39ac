"""What a job is, and the jobs that fetch checkpoints and make the data set: clips, labels, captions, latents.

`udpdiff.jobs` names all jobs.
"""

from __future__ import annotations

import json
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from udpdiff.checkpoints import hub
from udpdiff.config.data import ClipSize, Filters, PandaGates
from udpdiff.config.labels import Captions, Cleanup, DepthEstimator, EntityLabeller, Tracker
from udpdiff.config_values import Dtype


class Job(BaseModel):
    """Base of all jobs: frozen, every field named, written as one line of JSON."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the job that `dump` wrote.

        Raises:
            pydantic.ValidationError: A field is missing, unknown or of another type.
        """
        return cls.model_validate_json(text)

    def dump(self) -> str:
        """Return the job as one line of JSON; equal jobs give equal text."""
        return self.model_dump_json()

    def as_attrs(self) -> dict[str, Any]:
        """Return what a shard that this job writes says of its making: the job, and the commits of its checkpoints.

        Of the hub's checkpoints alone, as the workflow has them on record: `mini:` ones come with the code, and the names
        of folders say what is in them.
        """
        job = json.loads(self.dump())
        commits = hub.commits(job)
        return {"job": job, "checkpoints": commits} if commits else {"job": job}


class CheckCheckpoints(Job):
    """References to the hub that are to be there, and open to this user."""

    references: tuple[str, ...]


class FetchCheckpoint(Job):
    """One checkpoint of the hub. parts: what is read of it, see `checkpoints.hub`."""

    reference: str
    parts: tuple[str, ...]


class RenderScenes(Job):
    """Scenes number first_scene, first_scene + 1, ... of one shard."""

    first_scene: int
    count: int
    min_solids: int
    max_solids: int
    solid_size: float
    size: ClipSize
    filters: Filters


class CutVideos(Job):
    """One shard of a folder of videos.

    Attributes:
        captioned: Whether a csv has the captions, or a captioner writes them.
        clip_ids: File names as `sources.videos.printable` writes them.
        content: Digest of the files and their captions, so that a changed folder cuts anew.
        reserve: Files that are cut in their order, for as long as fewer clips than `clip_ids` are there.
        sources: Clip id -> source video, where the clip id alone does not tell it.
    """

    captioned: bool
    clip_ids: tuple[str, ...]
    content: str
    size: ClipSize
    filters: Filters
    reserve: tuple[str, ...] = ()
    sources: dict[str, str] = Field(default_factory=dict)


class ChooseClips(Job):
    """A seeded sample of Panda-70M's table. table: digest of the file's content, wherever it is."""

    table: str
    seed: int
    train: int
    evaluation: int
    min_seconds: float
    gates: PandaGates
    reserve: float


class DownloadClips(Job):
    """One shard of the chosen clips: number `shard` of `split`, which has `split_clips` in shards of `shard_clips`."""

    split: str
    shard: int
    split_clips: int
    shard_clips: int
    stream_height: int
    size: ClipSize
    filters: Filters


class SegmentEntities(Job):
    """One labeller of entities on one shard."""

    labeller: EntityLabeller
    tracker: Tracker
    cleanup: Cleanup


class EstimateDepth(Job):
    """One labeller of depth on one shard, which is stored in so many bits."""

    labeller: DepthEstimator
    bits: int = 16


class WriteCaptions(Job):
    """Captions of one shard.

    Attributes:
        base: The checkpoint whose tokenizer counts.
        named_tasks: Tasks that some run names in its prompts, which leave room for the longest of their names.
    """

    captions: Captions
    base: str
    named_tasks: tuple[str, ...]
    seed: int


class EncodeLatents(Job):
    """One stream of one shard through the VAE.

    Attributes:
        base: The checkpoint with the VAE.
        dtype: What the VAE computes in.
        batch_clips: How many clips are encoded at once, which may show in the last bits.
        task: None for the video itself.
        colormap: The task's colour encoding.
        options: Those of the task that labels and colormap depend on.
        encodings: How many colour encodings of each clip.
        seed: Of drawn colours; None where none are drawn.
    """

    base: str
    dtype: Dtype
    batch_clips: int
    task: str | None = None
    colormap: str | None = None
    options: dict = Field(default_factory=dict)
    encodings: int = 1
    seed: int | None = None


class EncodeText(Job):
    """Prompts of one shard, by a text encoder that computes in `dtype`. task: named in every prompt; None for plain captions."""

    base: str
    dtype: Dtype
    task: str | None


class DataOrigin(Job):
    """What a data set is made of. source: its kind. labellers: the checkpoint behind each part of the labels."""

    source: Literal["scenes", "videos", "panda70m"]
    labellers: dict[str, str]


class DescribeDataSet(DataOrigin):
    """The card of an exported data set."""
