"""The settings of each job as typed values: one model per script.

A job holds what its result depends on, and nothing else: rules put it into `params`, so that a change reruns what it must
and no more; scripts read it back with `parse`. How a job is carried out (`Execution`) comes beside it and reruns nothing.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from udpdiff.config.data import ClipSize, Fetching
from udpdiff.config.sampling import Acceleration
from udpdiff.config.schema import Config
from udpdiff.config.training import Model, TrainingExecution, TrainingRecipe
from udpdiff.config_values import Dtype
from udpdiff.jobs_data import (
    CheckCheckpoints,
    ChooseClips,
    CutVideos,
    DataOrigin,
    DescribeDataSet,
    DownloadClips,
    EncodeLatents,
    EncodeText,
    EstimateDepth,
    FetchCheckpoint,
    Job,
    RenderScenes,
    SegmentEntities,
    WriteCaptions,
)

__all__ = [
    "CheckCheckpoints",
    "ChooseClips",
    "CutVideos",
    "DataOrigin",
    "DescribeDataSet",
    "DownloadClips",
    "EncodeLatents",
    "EncodeText",
    "EstimateDepth",
    "FetchCheckpoint",
    "Job",
    "RenderScenes",
    "SegmentEntities",
    "WriteCaptions",
]


class Execution(Job):
    """How jobs are carried out on this machine; a change reruns nothing.

    Attributes:
        device: Of every network; None for a GPU where there is one.
        max_failed_share: Clips of a shard that may make a labeller or the encoder fail.
        fetching: How clips of Panda-70M are fetched.
        training: By run.
        offload: Of a sampling pipeline's networks only the one that computes is on the GPU.
    """

    device: str | None = None
    max_failed_share: float = 0.05
    fetching: Fetching | None = None
    training: dict[str, TrainingExecution] = Field(default_factory=dict)
    offload: bool = False


class Streams(Job):
    """The folders of latents that a run trains on: of the video, of each task, of each style of prompts."""

    video: str
    dense: dict[str, str]
    text: dict[str, str]


class Train(Job):
    """One run.

    Attributes:
        tasks: Share of the samples by task, in the order of the rows of the task embedding; empty for the base.
        colormaps: The colour encoding of each task.
        text_dtype: Of the text encoder beside the trainer; None where prompts are read from latents.
        data: What the clips and their labels are of, for the card.
    """

    run: str
    seed: int
    tasks: dict[str, float]
    task_condition: Literal["embedding", "text"]
    colormaps: dict[str, str]
    streams: Streams
    model: Model
    recipe: TrainingRecipe
    text_dtype: Dtype | None = None
    data: DataOrigin | None = None


class TakeModel(Job):
    """A trained model that comes as a checkpoint; tasks: those that it must know."""

    model: str
    checkpoint: str
    tasks: tuple[str, ...]


class Sample(Job):
    """Prompts number first to first + count - 1 of the evaluation captions, for one run and task.

    Attributes:
        task: `video` for the base, which has no dense stream.
        seed: Of the noise of prompt number 0; prompt i has seed + i, whatever the run.
        prediction_bits: In which a continuous prediction is stored.
        acceleration_threshold: None where the acceleration has none, or diffusers' own is taken.
    """

    run: str
    task: str
    first: int
    count: int
    caption: Literal["brief", "detailed"]
    num_inference_steps: int
    guidance_scale: float
    seed: int
    batch_size: int
    dtype: Dtype
    codec: Literal["lossless", "h264"]
    size: ClipSize
    acceleration: Acceleration | None = None
    acceleration_threshold: float | None = None
    prediction_bits: int = 16


class ExtractFeatures(Job):
    """Features and per-clip figures of one shard of videos, generated or real. caption: which of a clip's is the prompt."""

    video_encoder: str
    subject_encoder: str | None = None
    image_encoder: str | None = None
    interpolator: str | None = None
    flow: str | None = None
    kernel_encoder: str | None = None
    caption: Literal["brief", "detailed"] = "detailed"


class CompareSamples(Job):
    """Dense predictions of one shard of samples against a judge's labels of the same videos.

    Attributes:
        judge: Name of the labeller that the reference comes from.
        comparators: Names of further labellers, compared with the judge as the predictions are (table 3).
    """

    task: str
    options: dict
    judge: str
    comparators: tuple[str, ...] = ()


class EvaluateSamples(Job):
    """All figures of one run and task, with intervals. judge: None where its dense predictions are not compared."""

    run: str
    task: str
    seed: int
    bootstrap_samples: int
    judge: str | None
    comparators: tuple[str, ...] = ()


class CompareWithBase(Job):
    """Runs against the fine-tuned base. pairs: (run, task) of them."""

    base: str
    pairs: tuple[tuple[str, str], ...]


class LabelQuality(Job):
    """Labels of the evaluation scenes against exact truth.

    Attributes:
        judges: Labeller by kind, that the others are compared with.
        tasks: Options of the tasks that are measured.
    """

    seed: int
    bootstrap_samples: int
    judges: dict[str, str]
    tasks: dict[str, dict]


class CodecQuality(Job):
    """Round trips of the judges' labels.

    Attributes:
        dtype: What the VAE computes in.
        max_clips: Of each kind of labels.
        tasks: Options of the tasks that are measured.
    """

    base: str
    dtype: Dtype
    max_clips: int
    batch_clips: int
    seed: int
    bootstrap_samples: int
    tasks: dict[str, dict]


class MeasureRuntime(Job):
    """Table 4. runs: (run, task) pairs, timed in turns."""

    runs: tuple[tuple[str, str], ...]
    seed: int
    repeats: int
    num_inference_steps: int
    guidance_scale: float
    dtype: Dtype
    size: ClipSize


class MeasureThroughput(Job):
    """Labellers by folder of their shards (`entities/NAME`, `depth/NAME`)."""

    labellers: dict[str, SegmentEntities | EstimateDepth]


class MeasureMemory(Job):
    """Steps of one training on random latents. batches: samples of a step, one after another."""

    train: Train
    size: ClipSize
    batches: tuple[int, ...]


class FillTable(Job):
    """One table, with intervals and tests of the differences of its rows. seed: of every draw."""

    seed: int
    bootstrap_samples: int


class Scale(Job):
    """What was run, as far as verdicts on the paper's claims depend on it. steps: of a training, unless a run has its own."""

    source: str
    base: str
    steps: int
    train: int
    prompts: int
    num_frames: int
    height: int
    width: int


class JudgeClaims(Job):
    """The paper's claims, at a scale. seed: of every draw."""

    seed: int
    bootstrap_samples: int
    scale: Scale


class RenderReport(Job):
    """The report. shown: (run, task) pairs. sheet: how many clips the contact sheet shows."""

    config: Config
    shown: tuple[tuple[str, str], ...]
    tables: tuple[int, ...]
    sheet: int


class ShowLabels(RenderReport):
    """The report's pages on the data set alone: no run is shown and no table."""
