"""Every figure that this project measures, once: how it is called, printed and read, by tables and pages.

A dense task describes its own (see `tasks`); here are the others, and the controls and comparators that every dense
figure has. Knows names only: no file, no number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from udpdiff.tasks import TASKS, Task, labels_control
from udpdiff.tasks.figure import Figure

SMOOTHNESS = "motion_smoothness"
_OF_TASKS = (*TASKS, "video")  # ends of the keys of video figures of one task
CAPTIONS, CAPTIONER = "captions", "captioner"  # a kind of labels beside those of tasks, and who writes them
_SUBSETS = " Two small sets of one kind are not at 0: read it beside the distance of real halves, at equal numbers."
_STILL = " Videos in which nothing moves would be perfect, and are left out: n says how many are measured."
_SMOOTHNESS = "How well every other frame is predicted from its neighbours, x 100." + _STILL
_REAL = "The same of the real videos, which models are to be read beside."
_MOVING = (
    Figure("subject_consistency", "Subject consistency", "higher", 2, "Cosine between the features of a frame (DINO) and those of the first and of the previous one, mean over frames, x 100 as VBench prints it. Longer videos weigh more." + _STILL, scale=100),
    Figure("background_consistency", "Background consistency", "higher", 2, "The same with features of the whole picture (CLIP).", scale=100),
    Figure("motion_smoothness", "Motion smoothness", "higher", 2, _SMOOTHNESS + " By the network that VBench uses, AMT.", scale=100),
    Figure("motion_smoothness_blend", "Motion smoothness, by averages", "higher", 2, _SMOOTHNESS + " By the average of both neighbours, which needs no weights and is not what VBench uses; never to be set beside its figures.", scale=100),
    Figure("dynamic_degree", "Motion (mean flow)", "neither", 2, "How much moves: length of the optical flow from frame to frame, at 8 frames a second, mean over pixels and frames, in percent of the picture's short side. 0 in a still video. Not what VBench calls dynamic degree, which is a share of videos. Consistencies and smoothness reward slow videos: read them beside this, and this beside that of real videos.", "%", scale=100),
    Figure("dynamic_share", "Dynamic videos", "neither", 1, "Share of the videos that move by VBench's rule: the fastest 5 % of the pixels go farther than 6/256 of the short side per frame, on average, in a quarter of the frames or more. This share is what VBench publishes as dynamic degree, with the flow of RAFT: compare with it only where `metrics.flow` is raft_large.", "%", scale=100),
    Figure("prompt_fidelity", "Prompt fidelity", "higher", 2, "Cosine between the features of a frame and of the prompt (CLIP, both towers), mean over frames, x 100. What a prompt has beyond the tokens that the text tower reads does not count.", scale=100),
)  # fmt: skip
_DISTANCES = (
    Figure("fvd", "Frechet video distance", "lower", 2, "Distance between the features of generated and of real videos, each set taken as a normal distribution." + _SUBSETS),
    Figure("fvd_infinity", "FVD, bias removed", "lower", 2, "The distance extrapolated to endless samples from subsets of both sets. Rows are paired on the same subsets of prompts and real videos, each taken on from itself and its halves; the chance of drawing subsets is counted too."),
    Figure("kvd", "Kernel video distance", "lower", 4, "Maximum mean discrepancy of the same features with a cubic kernel; it has no bias, and may be below 0."),
    Figure("kernel_distance", "Kernel distance, second network", "lower", 4, "The kernel distance of the features of `metrics.kernel_encoder`, at the paper's scale V-JEPA 2: what another network than that of the Frechet distance sees. It has no bias, and may be below 0."),
    Figure("fvd_floor", "FVD of real against real halves", "neither", 2, "What the distance is between random halves of the real videos: about twice what real against real has at the full number."),
)  # fmt: skip


def own_smoothness(network: str) -> str:
    """Return the key of the motion smoothness by a user's own network, as a record's key may be: letters, digits, '_'.

    Raises:
        ValueError: The name ends as the keys of other figures do.
    """
    name = re.sub(r"[^a-z0-9]+", "_", network.lower()).strip("_")
    reserved = ("blend", "real", *_OF_TASKS)
    if not name or name.rpartition("_")[2] in reserved:
        raise ValueError(
            f"Interpolator: it calls itself {network!r}, and keys of figures that end so are of something else; expected a "
            f"name with a letter or digit whose last word is none of {', '.join(reserved)}"
        )
    return f"{SMOOTHNESS}_{name}"


def is_own_smoothness(key: str) -> bool:
    """Return whether a figure is the motion smoothness by a user's own network, of whatever videos."""
    return key.startswith(f"{SMOOTHNESS}_") and key not in {figure.key for figure in _VIDEOS}


def of_real(key: str) -> str:
    """Return the key of a video figure of the real videos."""
    return f"{key}_real"


def _as_real(figure: Figure) -> Figure:
    label = f"{figure.label}, real videos"
    return replace(figure, key=of_real(figure.key), label=label, direction="neither", words=_REAL)


_VIDEOS = (*_MOVING, *map(_as_real, _MOVING), *_DISTANCES)
RUNTIME_PARTS = {"text_encoder": "text encoder", "transformer": "transformer", "vae": "VAE"}
_RUNTIME = (
    Figure("runtime_seconds", "Run time", "lower", 2, "Median time of one video with all its parts, once loaded and warm.", "s"),
    *(Figure(f"runtime_{part}_seconds", f"Run time of the {name}", "lower", 2, "Its part of the run time, median.", "s") for part, name in (*RUNTIME_PARTS.items(), ("other", "rest"))),
)  # fmt: skip
_CAPTIONS = (
    Figure("caption_attributes", "shape, colour, motion right", "higher", 3, "Of each solid that the clip shows, the scene knows its shape, its colour and what it does. Named solids are paired with true ones so that as much as possible agrees; a pair needs the same shape or colour. The share of all this that the caption says rightly: what it leaves out counts as wrong."),
    Figure("caption_shapes", "shapes", "higher", 3, "The same of shapes alone."),
    Figure("caption_colors", "colours", "higher", 3, "The same of colours alone."),
    Figure("caption_motions", "motions", "higher", 3, "The same of motions alone: stays, spins, bounces, or where it moves to."),
    Figure("caption_solids", "solids all right", "higher", 3, "Share of the solids of which all three are right."),
    Figure("caption_inventions", "inventions", "lower", 3, "Of the solids that a caption names, the share that is not there: without a partner of the same shape or colour."),
    Figure("caption_tokens", "tokens", "neither", 1, "Length of the detailed caption in tokens of the text encoder, end mark included."),
)  # fmt: skip
# By kind of labeller. The clips whose labels were refused are in no training set, so they count as refused, not as bad.
REFUSED = {
    "entities": Figure("refused_share", "refused", "lower", 3, "Share of the clips that got no labels, because too little was covered or the labeller failed. They are in no training set and in no other figure."),
    "depth": Figure("depth_refused_share", "failed", "lower", 3, "Share of the clips on which the estimator failed."),
    CAPTIONS: Figure("caption_refused_share", "refused", "lower", 3, "Share of the clips without a caption: the captioner failed, or said nothing of use twice. They are in no training set and in no other figure."),
}  # fmt: skip
_COST = (
    Figure("total_seconds", "Time in all", "lower", 0, "From the start of the workflow to its last job, in wall-clock time.", "s"),
    Figure("peak_rss_gb", "Memory", "lower", 2, "The most that all jobs at one moment held together.", "GB"),
)  # fmt: skip

_RATIO = " Equal conditions: the same prompts, video noise, numbers and real videos. Above 1: farther from real videos than the base. The interval is from 200 subsets of half the prompts, the same for both, and half the real videos, without replacement: what fresh prompts and real videos would move it by, not another training."
_AGAINST_BASE = (
    Figure("fvd_ratio", "Frechet distance against the base's", "lower", 3, "Frechet video distance of the run's videos divided by the base's." + _RATIO + " Both carry the bias of small sets, which draws the ratio towards 1."),
    Figure("kvd_ratio", "Kernel distance against the base's", "lower", 3, "Kernel video distance of the run's videos divided by the base's, without bias; no value where the base's is not above 0." + _RATIO),
    Figure("video_loss", "Video validation loss", "lower", 4, "Of the video's part of the latents, at the last step at which both the run and the base were validated, on the clips that both were validated on (n), with the same captions, timesteps and noise. They are chosen from all clips and no run trains on them; a run leaves out those that its tasks' labellers rejected. No value where a log, of an earlier version, does not tell the loss by clip."),
    Figure("video_loss_ratio", "Video validation loss against the base's", "lower", 3, "The same divided by the base's on these clips, after as many steps. Above 1: learning the dense stream cost the video that much."),
    Figure("feature_dimensions", "Dimensions of the features", "neither", 0, "Numbers per video that distances are taken of; n says how many videos there are of each run."),
)  # fmt: skip

_LEFT_OUT = (
    " Against the labels that a labeller gives the same generated videos. Videos that it rejects, and those in which it "
    "finds nothing, are left out: n says how many were compared."
)
_AGAINST = {
    "labels": _LEFT_OUT,
    "motion": " No labels are asked, but the same videos are measured. The flow is that of the generated video (DIS of OpenCV), and counts where it leads there and back.",
    "colormap": " Of the generated colormap itself; the same videos are measured.",
    "nothing": " Of the prediction alone; the same videos are measured.",
}
_LABELS = ("of the labels", "The same of the labeller's own labels of the same videos.")
_SHUFFLED = (
    "exchanged between videos",
    "The same of the predictions of up to four other videos: what it is without any link between video and prediction.",
)
_CONSTANT = (
    "one prediction for all",
    "The same of one prediction for all videos, from the mean of the training labels: what a model that looks at nothing gets.",
)
_LABELS_SHUFFLED = (
    "The same of the labeller's own labels of up to four other videos, the same ones: how alike the videos are. No "
    "prediction that is exchanged can be expected to do better."
)
_NORMALISED = (
    "Its gain over predictions exchanged between videos, as a share of what there is to gain: the codec's ceiling minus "
    "the labeller's labels exchanged between videos. 0: no link between video and prediction; 1: as well as the labels "
    "would do after colours and VAE. The interval draws videos, and by themselves the clips behind the ceiling."
)


def _generated(task: Task) -> list[Figure]:
    """The figures of a task's predictions, with controls, the gains over them and the share of the possible gain."""
    figures = {
        figure.key: replace(figure, words=figure.words + _AGAINST[figure.against])
        for figure in task.figures["generated"]
    }
    for figure in list(figures.values()):
        others = {"shuffled": _SHUFFLED} if figure.against in ("labels", "motion") else {}
        others |= {"labels": _LABELS} if figure.against in ("motion", "nothing") else {}
        for name, (label, words) in others.items():
            key = f"{figure.key}_{name}"
            figures[key] = replace(figure, key=key, label=f"{figure.label}, {label}", direction="neither", words=words)
    controls = {"shuffled": _SHUFFLED} | ({"constant": _CONSTANT} if task.has_constant else {})
    for main in [figures[key] for key in task.ceilings]:
        for control, (label, words) in controls.items():
            key, gain = f"{main.key}_{control}", f"{main.key}_over_{control}"
            figures[key] = replace(main, key=key, label=f"{main.label}, {label}", direction="neither", words=words)
            words = f"How much higher it is, video by video, than the following. {words}"
            figures[gain] = replace(main, key=gain, label=f"{main.label}, gain over {label}", words=words)
        key, label = labels_control(main.key), f"{main.label}, labels exchanged between videos"
        figures[key] = replace(main, key=key, label=label, direction="neither", words=_LABELS_SHUFFLED)
        key, label = f"{main.key}_normalised", f"{main.label}, share of the possible gain"
        figures[key] = replace(main, key=key, label=label, digits=3, words=_NORMALISED)
    return list(figures.values())


_GENERATED = {task: {figure.key: figure for figure in _generated(task)} for task in TASKS.values()}


def _of_tasks(group: str) -> list[Figure]:
    return [figure for task in TASKS.values() for figure in task.figures[group]]


def _by_key(figures: Iterable[Figure]) -> dict[str, Figure]:
    return {figure.key: figure for figure in figures}


# Group -> key -> figure. Groups are those of `quality.json`; `labellers`: what labellers say of their own work.
FIGURES: Mapping[str, Mapping[str, Figure]] = {
    "generated": _by_key(_VIDEOS) | {key: figure for figures in _GENERATED.values() for key, figure in figures.items()},
    "runtime": _by_key(_RUNTIME),
    "against_base": _by_key(_AGAINST_BASE),
    "labels": _by_key([*_of_tasks("labels"), *_CAPTIONS, *REFUSED.values()]),
    "labellers": _by_key(_of_tasks("labeller")),
    "codec": _by_key(_of_tasks("codec")),
    "cost": _by_key(_COST),
}


def describe(key: str) -> Figure:
    """Return the figure of a key, with its group (`labels.grid8.entity_miou`) or without (the first that has it).

    Besides `FIGURES`: those of labellers set beside a prediction (`depth_anything_depth_delta1`), the smoothness by a
    user's own network (`motion_smoothness_NAME`), video figures of one task (`fvd_depth`) and the time of a rule
    (`cost.train_seconds`).

    Raises:
        ValueError: There is no such figure.
    """
    group, _, rest = key.partition(".")
    groups, name = ([group], rest.rpartition(".")[2]) if group in FIGURES else (FIGURES, key)
    for group in groups:
        found = FIGURES[group].get(name) or _DERIVED.get(group, FIGURES[group].get)(name)
        if found:
            return replace(found, key=name)
    raise ValueError(f"Figure: got {key!r}, which udpdiff.metrics.registry does not describe; add it there.")


def subject(key: str) -> str:
    """Return what a figure of generated videos is about, for people: a task by its phrase, a labeller's work, or "video"."""
    for task, figures in _GENERATED.items():
        if key in figures:
            return task.phrase
        # Those of labellers set beside a prediction have the labeller's name first.
        for figure in task.figures["generated"]:
            if key.endswith(f"_{figure.key}"):
                return f"{task.phrase}, of {key.removesuffix(f'_{figure.key}')}"
    return "video"


def label_figures(kind: str) -> tuple[Figure, ...]:
    """Return the figures of labels of a kind against truth, in the order of a page."""
    own = [figure for task in TASKS.values() if task.labels == kind for figure in task.figures["labels"]]
    own += _CAPTIONS if kind == CAPTIONS else []
    return (*own, REFUSED[kind])


def labeller_figures(kind: str) -> tuple[Figure, ...]:
    """Return what the labellers of a kind say of their own work, where there is no truth."""
    return tuple(figure for task in TASKS.values() if task.labels == kind for figure in task.figures["labeller"])


def _derived_generated(name: str) -> Figure | None:
    for figure in _of_tasks("generated"):
        if name.endswith(f"_{figure.key}"):
            labeller = name.removesuffix(f"_{figure.key}")
            words = f"Of the labels of {labeller} in place of the prediction. {figure.words}{_AGAINST[figure.against]}"
            return replace(figure, label=f"{figure.label}, of {labeller}", words=words)
    base, _, task = name.rpartition("_")
    if task in _OF_TASKS and (video := _video_figure(base)):
        return replace(video, label=f"{video.label}, {task}")
    return _video_figure(name)


def _video_figure(name: str) -> Figure | None:
    """Return a figure of single videos or of sets of them, a user's own smoothness included."""
    known = next((figure for figure in _VIDEOS if figure.key == name), None)
    base = name.rpartition("_")[0]
    if known or not is_own_smoothness(name):
        return known
    if name == of_real(base):
        return _as_real(_video_figure(base))
    network = name.removeprefix(f"{SMOOTHNESS}_")
    smoothness = next(figure for figure in _VIDEOS if figure.key == SMOOTHNESS)
    words = f"{_SMOOTHNESS} Not as VBench does, by {network}."
    return replace(smoothness, label=f"Motion smoothness, by {network}", words=words)


def _derived_against_base(name: str) -> Figure | None:
    base, _, task = name.rpartition("_")
    figure = next((figure for figure in _AGAINST_BASE if figure.key == base), None)
    return replace(figure, label=f"{figure.label}, {task}") if figure and task in TASKS else None


def _derived_cost(name: str) -> Figure | None:
    rule = name.removesuffix("_seconds")
    if rule == name:
        return None
    return Figure(name, f"Time of {rule}", "lower", 0, f"Of all jobs of the rule {rule} together.", "s")


_DERIVED = {"generated": _derived_generated, "against_base": _derived_against_base, "cost": _derived_cost}


_GROUPS = {
    "labels": "Labels of the evaluation scenes against exact truth. `labels.FIGURE` is the judge's, `labels.LABELLER.FIGURE` that of every labeller.",
    "codec": "What the representations lose by themselves, and what the VAE loses on top, on the judges' labels: the ceiling of what a model can say.",
    "generated": "The run with several tasks: its videos (`FIGURE_TASK`) and its dense predictions.",
    "runtime": "Table 4, `runtime.RUN.FIGURE`.",
    "against_base": "Runs against the base that was fine-tuned alike, `against_base.RUN.FIGURE`; distances by task (`fvd_ratio_TASK`).",
    "cost": "The run of the workflow itself; `cost.RULE_seconds` is the time of all jobs of a rule.",
}  # fmt: skip


def as_markdown() -> str:
    """Return the page docs/figures.md: every figure of quality.json in words."""
    lines = [
        "# Figures",
        "",
        "What stands in `results/quality.json`, with `_low` and `_high` (95 % interval) and `_n` beside each. Written by",
        "`python -m udpdiff.metrics.registry > docs/figures.md`; the tables' columns and the report use the same words.",
    ]
    for group, words in _GROUPS.items():
        lines += ["", f"## {group}", "", words, "", "| key | what | better | meaning |", "|---|---|---|---|"]
        for figure in FIGURES[group].values():
            unit = f", {figure.unit}" if figure.unit else f", x {figure.scale:g}" if figure.scale != 1 else ""
            better = "" if figure.direction == "neither" else figure.direction
            lines.append(f"| `{figure.key}` | {figure.label}{unit} | {better} | {figure.words} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(as_markdown(), end="")
