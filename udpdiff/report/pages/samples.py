"""Generated videos of every shown run, prompt by prompt: films of some, figures of all."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from pydantic import Field

from udpdiff.metrics.registry import subject
from udpdiff.report import films
from udpdiff.report.inputs import Inputs
from udpdiff.report.label_models import ShownFigure
from udpdiff.report.sample_scores import SampleScores, captions, read_scores, with_films
from udpdiff.report.site import PageData
from udpdiff.tasks import get_task
from udpdiff.tasks.figure import Figure
from udpdiff.workflow.workflow import VIDEO

_LONGEST_PROMPT = 600  # characters; what is cut stands in the tables of captions


class Prompt(PageData):
    id: str = Field(description="Of the clip that the prompt describes.")
    text: str = Field(description=f"The prompt, cut after {_LONGEST_PROMPT} characters.")


class Film(PageData):
    """Of all films of one run and task; their streams stand side by side."""

    streams: list[str] = Field(description="From left to right.")
    width: int = Field(description="Of a stream, in pixels.")
    height: int
    frames: int
    fps: float
    values: str | None = Field(description="What NNNN.html beside a film holds: ids, share (in [0, 1]), or nothing.")
    prompts: list[int] = Field(description="Numbers of the prompts with a film, media/RUN/TASK/NNNN.mp4.")


class Pair(PageData):
    """The samples of one run and task."""

    run: str
    task: str
    label: str = Field(description="Of the run, for people.")
    phrase: str = Field(description="Of the task, for people.")
    legend: str = Field(description="What the colours of the decoded stream say.")
    origin: str | None = Field(description="The checkpoint that it comes from; null for a run of this workflow.")
    film: Film | None
    scores: dict[str, list[int | None]] = Field(
        description="Key of a figure -> value of every prompt, as printed without its decimal point."
    )


class SampleFigure(ShownFigure):
    subject: str = Field(description="What it is about, for people: the video, a task, or a labeller's work.")

    @classmethod
    def of(cls, figure: Figure) -> SampleFigure:
        return cls(**asdict(figure), subject=subject(figure.key))


class Samples(PageData):
    prompts: list[Prompt]
    figures: list[SampleFigure]
    pairs: list[Pair]
    base: int | None = Field(description="Number of the pair that others are set against.")
    featured: str | None = Field(description="The run that the page opens with.")
    films_first: int = Field(description="So many first prompts have films.")
    films_worst: int = Field(description="And so many with the worst values of each figure.")


def samples(inputs: Inputs, media: Path) -> Samples:
    """Return what the page shows, its films written into `media`."""
    found = {(run, task): read_scores(inputs, run, task) for run, task in inputs.shown}
    prompts: dict[str, str] = {}
    for (run, task), scores in found.items():
        if not set(scores.clip_ids) <= set(prompts):
            prompts |= captions([clips for clips, _ in inputs.samples(run, task)], inputs.config.sampling.caption)
    indices = {clip_id: index for index, clip_id in enumerate(prompts)}
    figures = {figure.key: figure for scores in found.values() for figure in scores.figures()}
    base = inputs.workflow.base_run()
    return Samples(
        prompts=[Prompt(id=clip_id, text=_cut(text)) for clip_id, text in prompts.items()],
        figures=[SampleFigure.of(figure) for figure in figures.values()],
        pairs=[_pair(inputs, *pair, scores, indices, media) for pair, scores in found.items()],
        base=list(found).index((base, VIDEO)) if (base, VIDEO) in found else None,
        featured=inputs.featured_run(),
        films_first=inputs.config.report.films,
        films_worst=inputs.config.report.worst_films,
    )


def _pair(inputs: Inputs, run: str, task: str, scores: SampleScores, indices: dict[str, int], media: Path) -> Pair:
    settings = inputs.config.report
    wanted = with_films(scores, settings.films, settings.worst_films)
    shape = films.write_films(inputs, run, task, set(wanted), indices, media)
    film = shape and Film(
        streams=films.STREAMS[: 1 if task == VIDEO else None],
        width=shape.width,
        height=shape.height,
        frames=shape.frames,
        fps=shape.fps,
        values=shape.values,
        prompts=sorted(indices[clip_id] for clip_id in wanted),
    )
    # What the prediction is judged by stands above the video's figures.
    first = () if task == VIDEO else get_task(task).ceilings
    figures = sorted(scores.figures(), key=lambda figure: figure.key not in first)
    return Pair(
        run=run,
        task=task,
        label=inputs.run_label(run),
        phrase="video alone" if task == VIDEO else get_task(task).phrase,
        legend="" if task == VIDEO else get_task(task).legend,
        origin=inputs.origin(run),
        film=film,
        scores={figure.key: _values(figure, scores, indices) for figure in figures},
    )


def _values(figure: Figure, scores: SampleScores, indices: dict[str, int]) -> list[int | None]:
    values: list[int | None] = [None] * len(indices)
    for clip_id, found in scores.scores.items():
        value = found.get(figure.key)
        if value is not None and value == value:
            values[indices[clip_id]] = round(figure.scaled(value) * 10**figure.digits)
    return values


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_PROMPT else text[:_LONGEST_PROMPT].rstrip() + " …"
