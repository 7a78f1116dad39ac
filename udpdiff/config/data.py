"""Sections of the configuration about clips: where they come from, their sizes and filters, and how they are encoded."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from udpdiff.config_values import Batch, Dtype, Section, Share, Text, real, whole


class Source(Section):
    kind: Literal["scenes", "videos", "panda70m"]
    path: Text | None
    captions: Text | None
    min_solids: whole(1, 8)
    max_solids: whole(1, 8)
    solid_size: real(ge=0.5, le=2)

    @model_validator(mode="after")
    def _ordered(self):
        if self.min_solids > self.max_solids:
            raise ValueError(f"min_solids {self.min_solids} is more than max_solids {self.max_solids}")
        return self


class PandaGates(Section):
    max_seconds: real(gt=0, le=1e6)
    min_matching_score: real(ge=-1, lt=1)
    desirable_only: bool
    single_shot: bool
    clips_per_video: whole(1, 10_000)


class Fetching(Section):
    """How clips of Panda-70M are fetched, which does not change what they are."""

    fetch: Text
    rate_limit: whole(1000, 10**12) | None
    cookies: Text | None
    attempts: whole(1, 12)


class Panda70M(Fetching):
    gates: PandaGates
    reserve: real(ge=0, le=1000)
    height: whole(16, 8640)


class ClipSize(Section):
    """height, width: filters judge clips by 16 x 16 blocks."""

    height: whole(16, 4096)
    width: whole(16, 4096)
    num_frames: whole(5, 1000)
    fps: real(ge=1, le=240)


class Clips(ClipSize):
    """evaluation: a distance between sets of videos needs two in each."""

    train: whole(1, 10_000_000)
    evaluation: whole(2, 10_000_000)
    evaluation_share: real(gt=0, lt=1)
    shard_clips: whole(1, 100_000)


class Filters(Section):
    """Within what a clip can score, see `sources.filters`; a bound that no clip keeps would reject all."""

    min_sharpness: real(ge=0, lt=10_000)
    max_clipped_share: real(gt=0, le=1)
    max_near_black_share: real(gt=0, le=1)
    max_letterbox_share: Share
    min_motion: real(ge=0, lt=100)
    max_cut_score: real(gt=0, le=1)


class Storage(Section):
    """depth_bits: of labels and predictions of depth. keep: whether latents of one run alone stay after its training."""

    depth_bits: Literal[8, 10, 12, 16]
    keep: Literal["all", "needed"]


class Encoding(Section):
    """vae_dtype, text_dtype: what the networks compute in; latents and embeddings are stored as float16.

    text: whether embeddings of training captions are stored, or made beside the trainer.
    """

    batch_clips: Batch
    vae_dtype: Dtype
    text_dtype: Dtype
    text: Literal["stored", "live"]
