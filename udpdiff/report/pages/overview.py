"""The first page: the best of what was made, what was run at which scale, what the paper's claims came to, and the cost."""

from __future__ import annotations

from itertools import chain, zip_longest
from typing import Any

from pydantic import Field

from udpdiff.planning import costs
from udpdiff.report import quality
from udpdiff.report.inputs import Inputs
from udpdiff.report.pages.samples import Film, Pair, Samples
from udpdiff.report.site import PageData
from udpdiff.tasks import get_task
from udpdiff.workflow.workflow import VIDEO

_STRIP_FILMS = 8
_STAGES = 12  # with the longest times


class StripItem(PageData):
    """A sample of the strip; its film is media/RUN/TASK/NNNN.mp4 of the prompt."""

    run: str
    origin: str | None = Field(
        description="The checkpoint of a model that is only taken; null for a run of this workflow."
    )
    task: str
    phrase: str
    film: Film
    prompt: int
    text: str
    figure: str = Field(description="Key of the figure by which it is among the best.")
    figure_label: str
    of: int = Field(description="Prompts it was chosen from.")


class Run(PageData):
    run: str
    label: str
    tasks: dict[str, float] = Field(description="Share of the training samples by task.")
    trainings: int = Field(description="How often it was trained, with seeds of its own; samples are of the first.")
    steps: int
    batch_size: int
    shown: list[str] = Field(description="Tasks of its samples.")


class TakenModel(PageData):
    name: str
    origin: str = Field(description="Its checkpoint.")
    tasks: list[str] = Field(description="Of its samples.")


class Part(PageData):
    """A comparison of a claim, in the units of its table."""

    label: str
    unit: str
    row: str
    against: str
    difference: float | None
    low: float | None
    high: float | None
    paper_difference: float
    papers_figure: bool = Field(description="Whether ours is the figure that the paper reports.")
    p: float | None = Field(description="Corrected (Holm).")
    outcome: str
    reason: str | None
    margin: float | None = Field(description="Of rows that are said to be as good as each other; null for others.")


class Claim(PageData):
    says: str
    section: str
    table: int | None
    outcome: str
    reason: str | None
    parts: list[Part]


class Stage(PageData):
    rule: str
    seconds: float = Field(description="Of all its jobs.")


class Overview(PageData):
    strip: list[StripItem]
    scale: str | None = Field(description="What was run, in a sentence.")
    seeds: str | None = Field(description="What verdicts are about, in a sentence.")
    train_clips: int
    evaluation_clips: int
    rejected_clips: int = Field(description="By the source or its filters.")
    prompts: int
    runs: list[Run]
    models: list[TakenModel] = Field(description="Models that were trained already, sampled beside the runs.")
    goals: int = Field(description="Of the configuration, for its own figures.")
    goals_met: int
    goals_missed: int = Field(description="The others were not measured.")
    claims: list[Claim]
    stages: list[Stage] = Field(description="The longest ones, longest first.")
    total_seconds: float
    peak_rss_gb: float


def overview(inputs: Inputs, samples: Samples) -> Overview:
    """Return what the page shows; its strip is of the samples' own films."""
    verdicts = inputs.verdicts() or {}
    clips = inputs.clip_counts()
    met = [verdict["met"] for verdict in quality.judge(inputs.figures, inputs.config.report.goals)]
    stages = [Stage(rule=rule, seconds=row["seconds"]) for rule, row in costs.seconds_per_rule(inputs.costs).items()]
    return Overview(
        strip=_strip(inputs, samples),
        scale=inputs.scale_words(),
        seeds=verdicts.get("seeds", {}).get("words"),
        train_clips=clips["train"],
        evaluation_clips=clips["evaluation"],
        rejected_clips=sum(len(each.rejected) for each in inputs.summaries if each.folder == "clips"),
        prompts=len(samples.prompts),
        runs=[_run(inputs, run) for run in inputs.runs],
        models=[_taken(inputs, name) for name in inputs.config.models if any(run == name for run, _ in inputs.shown)],
        goals=len(met),
        goals_met=met.count(True),
        goals_missed=met.count(False),
        claims=[_claim(claim) for claim in verdicts.get("claims", [])],
        stages=sorted(stages, key=lambda stage: -stage.seconds)[:_STAGES],
        total_seconds=inputs.figures["cost.total_seconds"],
        peak_rss_gb=inputs.figures["cost.peak_rss_gb"],
    )


def _strip(inputs: Inputs, samples: Samples) -> list[StripItem]:
    """The best films of the featured runs, then of each model that is only taken."""
    featured = [pair for pair in samples.pairs if (pair.run, pair.task) in inputs.featured_pairs()]
    found = _best_of(featured, samples)
    for name in inputs.config.models:
        found += _best_of([pair for pair in samples.pairs if pair.run == name], samples)
    return found


def _best_of(pairs: list[Pair], samples: Samples) -> list[StripItem]:
    """The best films of some runs and tasks, by a figure of each task, tasks in turns."""
    pairs = [pair for pair in pairs if pair.film]
    if not pairs:
        return []
    each = -(-_STRIP_FILMS // len(pairs))
    turns = zip_longest(*(_best(pair, samples)[:each] for pair in pairs))
    return [item for item in chain.from_iterable(turns) if item][:_STRIP_FILMS]


def _best(pair: Pair, samples: Samples) -> list[StripItem]:
    """All films of a pair, best first; in the order of the prompts where the figure was not measured."""
    figures = {figure.key: figure for figure in samples.figures}
    task = get_task(pair.task)
    # Of entities by the solids alone: an empty ground would be among the best by the whole.
    key = next((key for key in reversed(task.ceilings) if key in pair.scores), task.main_figure)
    values = pair.scores.get(key, [None] * len(samples.prompts))
    ordered = sorted(pair.film.prompts, key=lambda index: -(values[index] if values[index] is not None else -(10**9)))
    return [
        StripItem(
            run=pair.run,
            origin=pair.origin,
            task=pair.task,
            phrase=pair.phrase,
            film=pair.film,
            prompt=index,
            text=samples.prompts[index].text,
            figure=key,
            figure_label=figures[key].label if key in figures else "order",
            of=len(samples.prompts),
        )
        for index in ordered
    ]


def _run(inputs: Inputs, run: str) -> Run:
    recipe = inputs.config.recipe(run)
    return Run(
        run=run,
        label=inputs.run_label(run),
        tasks=inputs.config.runs[run].tasks,
        trainings=inputs.config.runs[run].replicates,
        steps=recipe.steps,
        batch_size=recipe.batch_size,
        shown=["video" if task == VIDEO else task for each, task in inputs.shown if each == run],
    )


def _taken(inputs: Inputs, name: str) -> TakenModel:
    tasks = [task for run, task in inputs.shown if run == name]
    return TakenModel(name=name, origin=inputs.origin(name), tasks=tasks)


def _claim(claim: dict[str, Any]) -> Claim:
    parts = [
        Part(
            **{name: part[name] for name in ("label", "difference", "low", "high", "paper_difference", "outcome")},
            row=part["row"]["label"],
            against=part["against"]["label"],
            reason=part.get("reason"),
            papers_figure=part.get("papers_figure") is not False,
            p=part.get("p_corrected"),
            unit=part.get("unit", ""),
            margin=part.get("margin"),
        )
        for part in claim["parts"]
    ]
    return Claim(**{name: claim[name] for name in ("says", "section", "table", "outcome", "reason")}, parts=parts)
