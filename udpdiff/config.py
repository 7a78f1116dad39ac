"""The configuration as frozen, checked data.

`config.yaml` holds every default; this module holds every type and bound. It knows nothing about files, checkpoints or
the workflow: those checks are in `preflight`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, create_model, model_validator

from udpdiff.config_data import Clips, ClipSize, Encoding, Filters, Panda70M, Source, Storage
from udpdiff.config_labels import Labels, Name, Positive, Section, Seed
from udpdiff.config_sampling import Sampling
from udpdiff.config_training import Model, Training, TrainingExecution, TrainingRecipe
from udpdiff.tasks import TASKS, TaskOptions

# Every task brings the type of its own section.
Tasks = create_model("Tasks", __base__=Section, **{name: (task.Options, ...) for name, task in TASKS.items()})


class Run(Section):
    """One trained configuration.

    tasks: empty for the unwidened base, else task -> share of the data. entities, depth: the labellers whose labels it
    learns. colormaps: of tasks that are not in their standard one.
    """

    tasks: dict[str, Annotated[float, Field(gt=0)]]
    task_condition: Literal["embedding", "text"] = "embedding"
    entities: str = "entityseg"
    depth: str = "depthcrafter"
    colormaps: dict[str, str] = Field(default_factory=dict)
    training: dict[str, object] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _known_tasks(self):
        unknown = sorted(set(self.tasks) - set(TASKS))
        if unknown:
            raise ValueError(f"unknown task {unknown[0]!r}; allowed: {', '.join(TASKS)}")
        if self.tasks and abs(sum(self.tasks.values()) - 1) > 1e-6:
            raise ValueError(f"the shares of tasks add up to {sum(self.tasks.values()):g}; they must add up to 1")
        for task, colormap in self.colormaps.items():
            if task not in self.tasks:
                raise ValueError(
                    f"colormaps: {task!r} is no task of this run; allowed: {', '.join(self.tasks) or 'none'}"
                )
            if colormap not in TASKS[task].colormaps:
                raise ValueError(f"colormaps.{task}: got {colormap!r}; allowed: {', '.join(TASKS[task].colormaps)}")
        return self

    def colormap(self, task: str) -> str:
        """The colour encoding that this run learns a task in."""
        return self.colormaps.get(task, TASKS[task].colormaps[0])


class Judges(Section):
    """The labellers that generated videos are labelled with, by kind."""

    entities: str
    depth: str


class JudgedRuns(Section):
    """Runs whose dense predictions are compared with a judge's labels, by the judge's kind; null: all."""

    entities: list[str] | None
    depth: list[str] | None


class Extractors(Section):
    subject_encoder: str
    image_encoder: str
    video_encoder: str
    interpolator: str


class Metrics(Extractors):
    judges: Judges
    judged_runs: JudgedRuns
    bootstrap_samples: Positive
    codec_clips: Positive
    runtime_repeats: Positive


class Report(Section):
    """goals: lines `FIGURE >= NUMBER`, `FIGURE <= NUMBER` or `FIGURE > CONTROL`, of figures in quality.json."""

    tables: list[Annotated[int, Field(ge=1, le=9)]]
    goals: list[Annotated[str, Field(pattern=r"^[\w.]+ (>=|<=) [-+.e\d]+$|^[\w.]+ > [a-z]+$")]]
    examples: Positive
    contact_sheet: Positive


# Kinds of labellers: keys of `labels` and of its judges, and folders of results.
LABEL_KINDS = ("entities", "depth")


class Config(Section):
    """The whole configuration; see `config.yaml` for what each key means."""

    preset: str | None
    seed: Seed
    device: Annotated[str, Field(pattern=r"^(cpu|mps|cuda(:\d+)?)$")] | None
    gpu: str | None
    gpus: Positive
    gpu_price: Annotated[float, Field(ge=0)] | None
    source: Source
    panda70m: Panda70M
    clips: Clips
    filters: Filters
    labels: Labels
    tasks: Tasks
    storage: Storage
    encoding: Encoding
    model: Model
    training: Training
    runs: dict[Name, Run]
    sampling: Sampling
    metrics: Metrics
    report: Report

    @model_validator(mode="after")
    def _names_exist(self):
        named = {
            f"runs.{name}.{kind}": (kind, getattr(run, kind)) for name, run in self.runs.items() for kind in LABEL_KINDS
        }
        named |= {f"metrics.judges.{kind}": (kind, getattr(self.metrics.judges, kind)) for kind in LABEL_KINDS}
        for key, (kind, labeller) in named.items():
            allowed = getattr(self.labels, kind)
            if labeller not in allowed:
                raise ValueError(
                    f"{key}: got {labeller!r}, which labels.{kind} does not define; allowed: {', '.join(allowed)}"
                )
        for kind in LABEL_KINDS:
            for run in getattr(self.metrics.judged_runs, kind) or []:
                if run not in self.runs:
                    raise ValueError(
                        f"metrics.judged_runs.{kind}: got {run!r}, which runs does not define; "
                        f"allowed: {', '.join(self.runs)}"
                    )
        for name, run in self.runs.items():
            for task in run.tasks:
                if self.storage.depth_bits < TASKS[task].min_depth_bits:
                    raise ValueError(
                        f"storage.depth_bits: got {self.storage.depth_bits}, and run {name} learns {task}, which needs depth in "
                        f"{TASKS[task].min_depth_bits} bits or more"
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

    def recipe(self, run: str) -> TrainingRecipe:
        """What decides the weights of one run."""
        return TrainingRecipe(**_common(TrainingRecipe, self.run_training(run)))

    def training_execution(self, run: str) -> TrainingExecution:
        """How the training of one run is carried out."""
        return TrainingExecution(**_common(TrainingExecution, self.run_training(run)))

    def task_options(self, task: str) -> TaskOptions:
        """What the configuration chooses for a task."""
        return getattr(self.tasks, task)

    def clip_size(self) -> ClipSize:
        """Size, length and rate of every clip."""
        return ClipSize(**_common(ClipSize, self.clips))

    def extractors(self) -> Extractors:
        """The networks behind the video metrics."""
        return Extractors(**_common(Extractors, self.metrics))


def _common(section: type[BaseModel], larger: BaseModel) -> dict:
    return larger.model_dump(include=set(section.model_fields))
