"""Sections of the configuration about clips: where they come from, their sizes and filters, and how they are encoded."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from udpdiff.config_labels import Dtype, Positive, Section, Share


class Source(Section):
    kind: Literal["scenes", "videos", "panda70m"]
    path: str | None
    captions: str | None
    min_solids: Annotated[int, Field(ge=1, le=8)]
    max_solids: Annotated[int, Field(ge=1, le=8)]
    solid_size: Annotated[float, Field(ge=0.5, le=2)]

    @model_validator(mode="after")
    def _ordered(self):
        if self.min_solids > self.max_solids:
            raise ValueError(f"min_solids {self.min_solids} is more than max_solids {self.max_solids}")
        return self


class PandaGates(Section):
    max_seconds: Annotated[float, Field(gt=0)]
    min_matching_score: float
    desirable_only: bool
    single_shot: bool
    clips_per_video: Positive


class Fetching(Section):
    """How clips of Panda-70M are fetched, which does not change what they are."""

    fetch: str
    rate_limit: Positive | None
    cookies: str | None
    attempts: Positive


class Panda70M(Fetching):
    gates: PandaGates
    reserve: Annotated[float, Field(ge=0)]
    height: Positive


class ClipSize(Section):
    height: Positive
    width: Positive
    num_frames: Annotated[int, Field(ge=5)]
    fps: Annotated[float, Field(gt=0)]


class Clips(ClipSize):
    train: Positive
    evaluation: Positive
    evaluation_share: Annotated[float, Field(gt=0, lt=1)]
    shard_clips: Positive


class Filters(Section):
    min_sharpness: float
    max_clipped_share: Share
    max_near_black_share: Share
    max_letterbox_share: Share
    min_motion: float
    max_cut_score: float


class Storage(Section):
    """depth_bits: of labels and predictions of depth. keep: whether latents of one run alone stay after its training."""

    depth_bits: Literal[8, 10, 12, 16]
    keep: Literal["all", "needed"]


class Encoding(Section):
    """vae_dtype, text_dtype: what the networks compute in; latents and embeddings are stored as float16.

    text: whether embeddings of training captions are stored, or made beside the trainer.
    """

    batch_clips: Positive
    vae_dtype: Dtype
    text_dtype: Dtype
    text: Literal["stored", "live"]
