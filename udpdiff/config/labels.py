"""Sections of the configuration about labellers; `config` is what they belong to."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from udpdiff.config_values import Batch, Count, Dtype, Name, Section, Seed, Share, Text, Threshold, real, whole


class EntitySegmenter(Section):
    """segmenter: null is for the user to name, and nothing is labelled before."""

    model: Literal["segmenter"] = "segmenter"
    segmenter: Text | None
    score_threshold: Threshold


class PointGrid(Section):
    """Prompts the tracker's own checkpoint. Thresholds are for `filtering: amg`, by default those of sam2 1.1.0."""

    model: Literal["point_grid"]
    points_per_side: whole(1, 64)
    filtering: Literal["amg", "none"]
    predicted_iou_threshold: Threshold = 0.8
    stability_threshold: Threshold = 0.95
    box_nms_threshold: Share = 0.7


def _entity_model(entry) -> str | None:
    return entry.get("model", "segmenter") if isinstance(entry, dict) else getattr(entry, "model", None)


EntityLabeller = Annotated[
    Annotated[EntitySegmenter, Tag("segmenter")] | Annotated[PointGrid, Tag("point_grid")],
    Discriminator(_entity_model),
]


class Tracker(Section):
    """max_objects: null takes as many at once as the memory plan allows. dtype: null is bfloat16 on a GPU."""

    checkpoint: Text
    max_objects: whole(1, 10_000) | None
    dtype: Dtype | None


class Cleanup(Section):
    """reprompt_below: null never segments a later frame."""

    min_area_share: Threshold
    min_coverage: Threshold
    reprompt_below: Share | None


class DepthAnythingEstimator(Section):
    model: Literal["depth_anything"]
    checkpoint: Text
    batch_frames: Batch = 8
    normalise: Literal["clip", "frame"] = "clip"


class DepthCrafterEstimator(Section):
    """Defaults are those of DepthCrafter 1.0.1. base: the pipeline whose VAE and image encoder `checkpoint` lacks."""

    model: Literal["depthcrafter"]
    checkpoint: Text
    base: Text | None = None
    num_inference_steps: whole(1, 1000) = 5
    guidance_scale: real(ge=1, le=100) = 1.0
    window: whole(1, 1000) = 110
    overlap: Count = 25
    max_side: whole(64, 4096) = 1024
    chunk_frames: Batch = 8
    offload: bool = False
    seed: Seed = 0

    @model_validator(mode="after")
    def _windows_advance(self):
        if self.overlap >= self.window:
            raise ValueError(f"overlap {self.overlap} must be less than window {self.window}")
        return self


DepthEstimator = Annotated[DepthAnythingEstimator | DepthCrafterEstimator, Field(discriminator="model")]


class Captions(Section):
    captioner: Text | None
    instruction: Text | None
    max_new_tokens: whole(1, 8192)
    batch_clips: Batch
    dtype: Dtype
    max_tokens: whole(16, 4096) | None


class Labels(Section):
    max_failed_share: Share
    entities: dict[Name, EntityLabeller]
    tracker: Tracker
    cleanup: Cleanup
    depth: dict[Name, DepthEstimator]
    captions: Captions
