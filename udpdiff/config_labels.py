"""Sections of the configuration about labellers, and the kinds of values that all sections share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]
# As much as every generator takes, with a prompt's number added.
SEED_LIMIT = 2**63
Seed = Annotated[int, Field(ge=0, lt=SEED_LIMIT)]
# Of labellers and runs: they become parts of paths, of stream names (joined by "-") and of commands.
Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$", max_length=64)]
Dtype = Literal["float32", "bfloat16", "float16"]


class ConfigError(ValueError):
    """A configuration that cannot be run; its message names the key, what was got and what is allowed."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EntitySegmenter(Section):
    """segmenter: null is for the user to name, and nothing is labelled before."""

    model: Literal["segmenter"] = "segmenter"
    segmenter: str | None
    score_threshold: Share


class PointGrid(Section):
    """Prompts the tracker's own checkpoint. Thresholds are for `filtering: amg`, by default those of sam2 1.1.0."""

    model: Literal["point_grid"]
    points_per_side: Positive
    filtering: Literal["amg", "none"]
    predicted_iou_threshold: Share = 0.8
    stability_threshold: Share = 0.95
    box_nms_threshold: Share = 0.7


def _entity_model(entry) -> str | None:
    return entry.get("model", "segmenter") if isinstance(entry, dict) else getattr(entry, "model", None)


EntityLabeller = Annotated[
    Annotated[EntitySegmenter, Tag("segmenter")] | Annotated[PointGrid, Tag("point_grid")],
    Discriminator(_entity_model),
]


class Tracker(Section):
    """max_objects: null takes as many at once as the memory plan allows. dtype: null is bfloat16 on a GPU."""

    checkpoint: str
    max_objects: Positive | None
    dtype: Dtype | None


class Cleanup(Section):
    """reprompt_below: null never segments a later frame."""

    min_area_share: Share
    min_coverage: Share
    reprompt_below: Share | None


class DepthAnythingEstimator(Section):
    model: Literal["depth_anything"]
    checkpoint: str
    batch_frames: Positive = 8
    normalise: Literal["clip", "frame"] = "clip"


class DepthCrafterEstimator(Section):
    """Defaults are those of DepthCrafter 1.0.1. base: the pipeline whose VAE and image encoder `checkpoint` lacks."""

    model: Literal["depthcrafter"]
    checkpoint: str
    base: str | None = None
    num_inference_steps: Positive = 5
    guidance_scale: Annotated[float, Field(ge=1)] = 1.0
    window: Positive = 110
    overlap: Count = 25
    max_side: Annotated[int, Field(ge=64)] = 1024
    chunk_frames: Positive = 8
    offload: bool = False
    seed: Seed = 0

    @model_validator(mode="after")
    def _windows_advance(self):
        if self.overlap >= self.window:
            raise ValueError(f"overlap {self.overlap} must be less than window {self.window}")
        return self


DepthEstimator = Annotated[DepthAnythingEstimator | DepthCrafterEstimator, Field(discriminator="model")]


class Captions(Section):
    captioner: str | None
    instruction: Annotated[str, Field(min_length=1)] | None
    max_new_tokens: Positive
    batch_clips: Positive
    dtype: Dtype
    max_tokens: Annotated[int, Field(ge=16)] | None


class Labels(Section):
    max_failed_share: Share
    entities: dict[Name, EntityLabeller]
    tracker: Tracker
    cleanup: Cleanup
    depth: dict[Name, DepthEstimator]
    captions: Captions
