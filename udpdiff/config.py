"""The configuration as frozen, checked data.

`config.yaml` holds every default; this module holds every type and bound. It knows nothing about files, checkpoints or
the workflow: those checks are in `preflight`.
"""

from __future__ import annotations

import difflib
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from udpdiff.tasks import TASKS

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]


class ConfigError(ValueError):
    """A configuration that cannot be run; its message names the key, what was got and what is allowed."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Source(_Section):
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
        if self.kind == "videos" and not self.path:
            raise ValueError("kind is videos, but path names no folder of video files")
        if self.kind == "panda70m" and not self.path:
            raise ValueError("kind is panda70m, but path names no table of Panda-70M")
        return self


class PandaGates(_Section):
    max_seconds: Annotated[float, Field(gt=0)]
    min_matching_score: float
    desirable_only: bool
    single_shot: bool
    clips_per_video: Positive


class Panda70M(_Section):
    gates: PandaGates
    reserve: Annotated[float, Field(ge=0)]
    fetch: str
    height: Positive
    rate_limit: Positive | None
    cookies: str | None
    attempts: Positive


class Clips(_Section):
    height: Positive
    width: Positive
    num_frames: Annotated[int, Field(ge=5)]
    fps: Annotated[float, Field(gt=0)]
    train: Positive
    evaluation: Positive
    evaluation_share: Annotated[float, Field(gt=0, lt=1)]
    shard_clips: Positive


class Filters(_Section):
    min_sharpness: float
    max_clipped_share: Share
    max_near_black_share: Share
    max_letterbox_share: Share
    min_motion: float
    max_cut_score: float


class EntitySegmenter(_Section):
    model: Literal["segmenter"] = "segmenter"
    segmenter: str
    score_threshold: Share


class PointGrid(_Section):
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


class Tracker(_Section):
    """max_objects: null takes as many at once as the memory plan allows. dtype: null is bfloat16 on a GPU."""

    checkpoint: str
    max_objects: Positive | None
    dtype: Literal["float32", "bfloat16", "float16"] | None


class Cleanup(_Section):
    """reprompt_below: null never segments a later frame."""

    min_area_share: Share
    min_coverage: Share
    reprompt_below: Share | None


class DepthAnythingEstimator(_Section):
    model: Literal["depth_anything"]
    checkpoint: str
    batch_frames: Positive = 8
    normalise: Literal["clip", "frame"] = "clip"


class DepthCrafterEstimator(_Section):
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
    seed: Count = 0

    @model_validator(mode="after")
    def _windows_advance(self):
        if self.overlap >= self.window:
            raise ValueError(f"overlap {self.overlap} must be less than window {self.window}")
        return self


DepthEstimator = Annotated[DepthAnythingEstimator | DepthCrafterEstimator, Field(discriminator="model")]


class Captions(_Section):
    captioner: str | None
    instruction: Annotated[str, Field(min_length=1)] | None
    max_new_tokens: Positive
    batch_clips: Positive
    dtype: Literal["float32", "bfloat16", "float16"]
    max_tokens: Annotated[int, Field(ge=16)] | None


class Labels(_Section):
    device: str | None
    max_failed_share: Share
    entities: dict[str, EntityLabeller]
    tracker: Tracker
    cleanup: Cleanup
    depth: dict[str, DepthEstimator]
    captions: Captions


class Encoding(_Section):
    colourings: Positive
    min_color_distance: Count
    location_grid: Annotated[int, Field(ge=2, le=11)]
    batch_clips: Positive


class Model(_Section):
    base: str
    init_in: Literal["zero", "copy", "half", "resample", "orthogonal"]
    init_out: Literal["copy", "resample", "zero", "orthogonal"]


class Training(_Section):
    steps: Positive
    batch_size: Positive
    learning_rate: Annotated[float, Field(gt=0)]
    optimizer: Literal["adamw", "muon"]
    warmup_steps: Count
    schedule: Literal["constant", "cosine"]
    weight_decay: Annotated[float, Field(ge=0)]
    max_grad_norm: Annotated[float, Field(gt=0)]
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None
    objective: Literal["v", "eps_weighted"]
    detailed_share: Share
    caption_dropout: Share
    mixed_precision: Literal["no", "bf16", "fp16"]
    gradient_checkpointing: bool
    gradient_accumulation_steps: Positive
    lora_rank: Positive | None
    checkpoint_every_steps: Positive
    log_every_steps: Positive
    validation_every_steps: Positive
    export: Literal["pipeline", "transformer"]


class Run(_Section):
    """One trained configuration. `tasks` is empty for the unwidened base, else task -> share of the data."""

    tasks: dict[str, Annotated[float, Field(gt=0)]]
    task_condition: Literal["embedding", "text"] = "embedding"
    entities: str = "entityseg"
    colormap: Literal["pixelplanes", "location"] = "pixelplanes"
    depth: str = "depthcrafter"
    training: dict[str, object] = {}

    @model_validator(mode="after")
    def _known_tasks(self):
        unknown = sorted(set(self.tasks) - set(TASKS))
        if unknown:
            raise ValueError(f"unknown task {unknown[0]!r}; allowed: {', '.join(TASKS)}")
        if self.tasks and abs(sum(self.tasks.values()) - 1) > 1e-6:
            raise ValueError(f"the shares of tasks add up to {sum(self.tasks.values()):g}; they must add up to 1")
        return self


class Sampling(_Section):
    prompts: Positive
    caption: Literal["brief", "detailed"]
    num_inference_steps: Positive
    guidance_scale: Annotated[float, Field(ge=1)]
    seed: Count
    batch_size: Positive
    dtype: Literal["float32", "bfloat16", "float16"]


class Metrics(_Section):
    subject_encoder: str
    image_encoder: str
    video_encoder: str
    interpolator: str
    judge_entities: str
    judge_entities_of: list[str] | None
    judge_depth: str
    bootstrap_samples: Positive
    runtime_repeats: Positive


class Report(_Section):
    tables: list[Annotated[int, Field(ge=1, le=9)]]
    examples: Positive
    contact_sheet: Positive


_LABELS = ("entities", "depth")


class Config(_Section):
    """The whole configuration; see `config.yaml` for what each key means."""

    seed: Count
    source: Source
    panda70m: Panda70M
    clips: Clips
    filters: Filters
    labels: Labels
    encoding: Encoding
    model: Model
    training: Training
    runs: dict[Annotated[str, Field(pattern=r"^[a-z0-9_]+$")], Run]
    sampling: Sampling
    metrics: Metrics
    report: Report

    @model_validator(mode="after")
    def _labellers_exist(self):
        named = {f"runs.{name}.{key}": (key, getattr(run, key)) for name, run in self.runs.items() for key in _LABELS}
        named |= {f"metrics.judge_{key}": (key, getattr(self.metrics, f"judge_{key}")) for key in _LABELS}
        for key, (kind, labeller) in named.items():
            allowed = getattr(self.labels, kind)
            if labeller not in allowed:
                raise ValueError(
                    f"{key}: got {labeller!r}, which labels.{kind} does not define; allowed: {', '.join(allowed)}"
                )
        for run in self.metrics.judge_entities_of or []:
            if run not in self.runs:
                raise ValueError(
                    f"metrics.judge_entities_of: got {run!r}, which runs does not define; allowed: {', '.join(self.runs)}"
                )
        if 1000 % self.sampling.num_inference_steps:
            raise ValueError(
                f"sampling.num_inference_steps: got {self.sampling.num_inference_steps}, which does not divide the "
                "scheduler's 1000 training steps; use 10, 20, 25, 40, 50 or 100"
            )
        return self

    def run_training(self, run: str) -> Training:
        """The training section as it holds for one run, its own overrides applied."""
        return Training(**(self.training.model_dump() | self.runs[run].training))


def parse(raw: dict) -> Config:
    """The checked configuration.

    Raises: ConfigError, one line per fault, naming the key, what was got and what is allowed.
    """
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(fault) for fault in error.errors())) from None
    for name in config.runs:
        try:
            config.run_training(name)
        except ValidationError as error:
            lines = [f"runs.{name}.training: {_explain(fault, Training)}" for fault in error.errors()]
            raise ConfigError("\n".join(lines)) from None
    return config


def _explain(fault: dict, root: type[BaseModel] = Config) -> str:
    path = [str(part) for part in fault["loc"] if part != "[key]"]
    if path[:2] in (["labels", "entities"], ["labels", "depth"]) and len(path) > 3:
        del path[3]  # pydantic names the labeller's model there, which is no key
    key = ".".join(path)
    if fault["type"] == "extra_forbidden":
        siblings = _known_keys(path[:-1], root)
        near = difflib.get_close_matches(path[-1], siblings, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        return f"{key}: unknown key; {hint}allowed here: {', '.join(siblings)}"
    if fault["type"] == "union_tag_not_found":
        return f"{key}.model: missing; allowed: {_models(path[1])}"
    if fault["type"] == "union_tag_invalid":
        return f"{key}.model: got {fault['ctx']['tag']!r}; allowed: {_models(path[1])}"
    if fault["type"] == "missing":
        return f"{key}: missing; a --configfile is merged over config.yaml, so this key was removed or set to null"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error":
        return f"{key}: {message}" if key else message
    return f"{key}: got {fault['input']!r}; {message[0].lower()}{message[1:]}"


def _models(labels: str) -> str:
    kinds = _kinds({"entities": EntityLabeller, "depth": DepthEstimator}[labels])
    return ", ".join(kind.model_fields["model"].annotation.__args__[0] for kind in kinds)


def _kinds(annotation) -> tuple[type[BaseModel], ...]:
    """Section classes that an annotation allows: one, or those of a union."""
    if isinstance(annotation, type):
        return (annotation,) if issubclass(annotation, BaseModel) else ()
    return tuple(kind for part in get_args(annotation) for kind in _kinds(part))


def _known_keys(path: list[str], root: type[BaseModel]) -> list[str]:
    """Names allowed below a path of section names."""
    kinds: tuple[type[BaseModel], ...] = (root,)
    for part in path:
        fields = [kind.model_fields[part].annotation for kind in kinds if part in kind.model_fields]
        # A part that is no field is a name the user chose, in a dictionary whose values are known already.
        kinds = tuple(kind for annotation in fields for kind in _kinds(annotation)) if fields else kinds
    return sorted({name for kind in kinds for name in kind.model_fields})
