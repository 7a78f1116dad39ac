"""The configuration as frozen, checked data.

`config.yaml` holds every default; this module holds every type and bound. It knows nothing about files, checkpoints or
the workflow: those checks are in `preflight`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, Field, create_model, field_validator, model_validator

from udpdiff.config.data import Clips, ClipSize, Encoding, Filters, Panda70M, Source, Storage
from udpdiff.config.labels import Labels
from udpdiff.config.sampling import Sampling
from udpdiff.config.training import InitIn, InitOut, Model, Training, TrainingExecution, TrainingRecipe
from udpdiff.config_values import Name, Section, Seed, Text, real, whole
from udpdiff.replicates import replicate_names, run_of
from udpdiff.tasks import TASKS, TaskOptions


def _options_field(options: type[TaskOptions]) -> tuple:
    """A task whose options have defaults needs no section: a new one must not stop configurations that know none of it."""
    required = any(field.is_required() for field in options.model_fields.values())
    return options, ... if required else Field(default_factory=options)


# Every task brings the type of its own section.
Tasks = create_model("Tasks", __base__=Section, **{name: _options_field(task.Options) for name, task in TASKS.items()})


class Run(Section):
    """One trained configuration.

    tasks: empty for the unwidened base, else task -> share of the data. entities, depth: the labellers whose labels it
    learns. colormaps: of tasks that are not in their standard one. init_in, init_out: in place of the model's.
    replicates: how often it is trained, each time from another seed.
    """

    tasks: dict[str, real(gt=0, le=1)]
    task_condition: Literal["embedding", "text"] = "embedding"
    entities: str = "entityseg"
    depth: str = "depthcrafter"
    colormaps: dict[str, str] = Field(default_factory=dict)
    init_in: InitIn | None = None
    init_out: InitOut | None = None
    training: dict[str, object] = Field(default_factory=dict)
    replicates: whole(1, 100) = 1

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


class TakenModel(Section):
    """A model that is trained already, sampled and measured beside the runs. tasks: of it, those that are."""

    checkpoint: Text
    tasks: Annotated[list[str], Field(min_length=1)]

    @model_validator(mode="after")
    def _known_tasks(self):
        unknown = sorted(set(self.tasks) - set(TASKS))
        if unknown or len(set(self.tasks)) < len(self.tasks):
            raise ValueError(f"tasks: got {self.tasks}; allowed: each of {', '.join(TASKS)} once")
        return self


class Judges(Section):
    """The labellers that generated videos are labelled with, by kind."""

    entities: str
    depth: str


class JudgedRuns(Section):
    """Runs whose dense predictions are compared with a judge's labels, by the judge's kind; null: all."""

    entities: list[str] | None
    depth: list[str] | None


class Extractors(Section):
    subject_encoder: Text
    image_encoder: Text
    video_encoder: Text
    kernel_encoder: Text | None
    interpolator: Text
    flow: Annotated[str, Field(pattern=r"^(dis|raft_large|raft_small|raft:.+)$")]


class Metrics(Extractors):
    judges: Judges
    judged_runs: JudgedRuns
    bootstrap_samples: whole(1, 100_000)
    codec_clips: whole(1, 10_000_000)
    runtime_repeats: whole(1, 1000)


class Report(Section):
    """goals: lines `FIGURE >= NUMBER`, `FIGURE <= NUMBER` or `FIGURE > CONTROL`, of figures in quality.json."""

    tables: list[whole(1, 9)]
    goals: list[Annotated[str, Field(pattern=r"^[\w.]+ (>=|<=) [-+.e\d]+$|^[\w.]+ > [a-z]+$")]]
    examples: whole(1, 1000)
    films: whole(1, 10_000)
    worst_films: whole(0, 1000)
    contact_sheet: whole(1, 10_000)


# Kinds of labellers: keys of `labels` and of its judges, and folders of results.
LABEL_KINDS = ("entities", "depth")


class Config(Section):
    """The whole configuration; see `config.yaml` for what each key means."""

    preset: str | None
    seed: Seed
    device: Annotated[str, Field(pattern=r"^(cpu|mps|cuda(:\d+)?)$")] | None
    gpu: str | None
    gpus: whole(1, 8192)
    gpu_price: real(ge=0, le=1e6) | None
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
    models: dict[Name, TakenModel | None]  # null takes away what a lower layer names; none is left after that
    sampling: Sampling
    metrics: Metrics
    report: Report

    @field_validator("models", mode="before")
    @classmethod
    def _left_out(cls, models):
        """A model of a lower layer that is null here is none."""
        return (
            {name: model for name, model in models.items() if model is not None} if isinstance(models, dict) else models
        )

    @model_validator(mode="before")
    @classmethod
    def _words_of_scenes(cls, raw):
        """`mini:captioner`, the default, knows the words of scenes alone; other sources go without."""
        source, labels = (raw.get(name) if isinstance(raw, dict) else None for name in ("source", "labels"))
        captions = labels.get("captions") if isinstance(labels, dict) else None
        if not isinstance(source, dict) or source.get("kind") == "scenes" or not isinstance(captions, dict):
            return raw
        if captions.get("captioner") != "mini:captioner":
            return raw
        return raw | {"labels": labels | {"captions": captions | {"captioner": None}}}

    @model_validator(mode="after")
    def _fits_together(self):
        faults = [*self._unknown_names(), *self._depth_faults()]
        if 1000 % self.sampling.num_inference_steps:
            faults.append(
                f"sampling.num_inference_steps: got {self.sampling.num_inference_steps}, which does not divide the "
                "scheduler's 1000 training steps; use 10, 20, 25, 40, 50 or 100"
            )
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _unknown_names(self) -> Iterator[str]:
        named = {
            f"runs.{name}.{kind}": (kind, getattr(run, kind)) for name, run in self.runs.items() for kind in LABEL_KINDS
        }
        named |= {f"metrics.judges.{kind}": (kind, getattr(self.metrics.judges, kind)) for kind in LABEL_KINDS}
        for key, (kind, labeller) in named.items():
            allowed = getattr(self.labels, kind)
            if labeller not in allowed:
                yield f"{key}: got {labeller!r}, which labels.{kind} does not define; allowed: {', '.join(allowed)}"
        for name in sorted(set(self.models) & set(self.runs)):
            yield f"models.{name}: got the name of a run; give the model another"
        for kind in LABEL_KINDS:
            for run in getattr(self.metrics.judged_runs, kind) or []:
                if run not in {*self.runs, *self.models}:
                    yield (
                        f"metrics.judged_runs.{kind}: got {run!r}, which neither runs nor models define; "
                        f"allowed: {', '.join([*self.runs, *self.models])}"
                    )

    def _depth_faults(self) -> Iterator[str]:
        for name, run in self.runs.items():
            for task in run.tasks:
                if self.storage.depth_bits < TASKS[task].min_depth_bits:
                    yield (
                        f"storage.depth_bits: got {self.storage.depth_bits}, and run {name} learns {task}, which needs depth in "
                        f"{TASKS[task].min_depth_bits} bits or more"
                    )

    def run(self, name: str) -> Run:
        """The run that a training is of."""
        return self.runs[run_of(name)]

    def trainings(self) -> list[str]:
        """The names of all trainings: of every run as many as it has replicates."""
        return [name for run, spec in self.runs.items() for name in replicate_names(run, spec.replicates)]

    def run_training(self, run: str) -> Training:
        """The training section as it holds for one run, its own overrides applied."""
        return Training(**(self.training.model_dump() | self.run(run).training))

    def run_model(self, run: str) -> Model:
        """The model that one run starts from, its own initialisation applied."""
        own = self.run(run).model_dump(include={"init_in", "init_out"}, exclude_none=True)
        return self.model.model_copy(update=own)

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
