"""From the figures of single clips to those of a set, with 95 % intervals, in the form that tables and pages read.

Every `metrics` is name -> {"value", "low", "high", "n", "per_video", "clips", "extractor"}, plain JSON: low and high are
the ends of the interval (null when n is too small), per_video the values of single clips (empty for figures of the whole
set, null for a clip that is left out), extractor what made them. Whose values they are stands once in a document: its
`clips` is name -> clip ids, and a figure's `clips` the name of its list (null without values, and where a document says
it otherwise); `records.by_clip` joins both. Knows no video and no label.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from udpdiff.figure_record import Basis, figure_record
from udpdiff.jobs import CodecQuality, EvaluateSamples, LabelQuality
from udpdiff.measures.optical_flow import FLOW_METHOD
from udpdiff.metrics import registry
from udpdiff.metrics.bootstrap import Estimate, bootstrap_difference, bootstrap_mean, bootstrap_median
from udpdiff.metrics.comparison import Comparison, read_comparisons
from udpdiff.metrics.feature_shards import CUT_PROMPT, STILL, VideoSet, read_features
from udpdiff.metrics.records import COMPARED, REAL, ROUNDS, VIDEOS, entry
from udpdiff.metrics.set_distances import measure_distances
from udpdiff.tasks import Task, get_task, labels_control

NOTHING = Estimate(math.nan, math.nan, math.nan, 0)
CONTROLS = ("shuffled", "constant")


def evaluate_samples(
    job: EvaluateSamples,
    features: Sequence[str | Path],
    reference: Sequence[str | Path],
    comparisons: Sequence[str | Path] = (),
) -> dict:
    """Return the content of quality.json of one run and task.

    Args:
        job: The run, its task, and who judged it.
        features: Shards of features of the generated videos.
        reference: Those of real videos.
        comparisons: Shards of what `compare_samples` found.
    """
    generated, real = read_features(features), read_features(reference)
    options = {"bootstrap_samples": job.bootstrap_samples, "seed": job.seed}
    metrics = evaluate_videos(generated, real, **options)
    clips = {VIDEOS: generated.clip_ids, REAL: real.clip_ids}
    document = quality_document(job.run, job.task, job.seed, len(generated.clip_ids), metrics, clips)
    joined = read_comparisons(comparisons if job.judge else ())
    if job.judge:
        metrics |= evaluate_dense(
            get_task(job.task), joined.clips.values(), labeller=job.judge, comparators=job.comparators, **options
        )
        clips[COMPARED] = list(joined.clips)
        document |= {"left_out": joined.left_out}
    shards = [Basis.of_shards(generated.made + joined.made, VIDEOS), Basis.of_shards(real.made, REAL)]
    return document | figure_record(*shards, Basis(clip_ids=clips, seeds={"intervals": [job.seed]}))


def evaluate_videos(
    generated: VideoSet, reference: VideoSet, *, bootstrap_samples: int = 2000, seed: int = 0
) -> dict[str, dict]:
    """Return the figures of generated videos, the same of reference videos (`..._real`), and the distance between both.

    Videos in which nothing moves are perfectly consistent and smooth: they are left out of these figures, and the
    extractor's words say how many they are. Read them beside the distances and the mean flow,
    which is then 0.

    Consistencies lie in [0, 1], and longer videos weigh more. `fvd` is biased upwards by small sets: read it beside
    `fvd_floor`, the distance between halves of the reference, and `fvd_infinity` (left out below 6 videos; the floor
    below 4). `kvd` has no such bias.

    Raises:
        ValueError: The features are those of different networks.
    """
    for role in ("video", "kernel"):
        names = [videos.names.get(role) for videos in (generated, reference)]
        if names[0] != names[1]:
            raise ValueError(
                f"Video features: got {names[0]!r} of generated and {names[1]!r} of real videos, expected one network, as "
                "distances between two mean nothing. Extract both again."
            )
    options = {"resamples": bootstrap_samples, "seed": seed}
    metrics = _video_figures(generated, VIDEOS, options)
    real = {registry.of_real(name): figure for name, figure in _video_figures(reference, REAL, options).items()}
    return metrics | real | measure_distances(reference, generated, seed=seed)


def _video_figures(videos: VideoSet, clips: str, options: dict) -> dict[str, dict]:
    """Return the means of the figures of single videos: those that any of them has. clips: the name of their list."""
    lengths = videos.num_frames - 1
    found = {}
    for name, source, weights, moving in (
        ("subject_consistency", "subject", lengths, True),
        ("background_consistency", "image", lengths, True),
        (videos.smoothness, "interpolator", None, True),
        ("dynamic_degree", "flow", None, False),
        ("dynamic_share", "flow", None, False),
        ("prompt_fidelity", "image", None, False),
    ):
        if any(name in scores for scores in videos.scores):
            mean, made_by, values = _mean_over_videos(videos, name, videos.names[source], weights, moving, options)
            found[name] = entry(mean, made_by, values, clips)
    return found


def _mean_over_videos(
    videos: VideoSet, name: str, made_by: str, weights: np.ndarray | None, moving: bool, options: dict
) -> tuple[Estimate, str, np.ndarray]:
    """Return the mean of a figure over the videos that have it, what made it, and its values, nan where there is none.

    moving: those in which nothing moves are left out.
    """
    count, out = len(videos.scores), [moving and STILL in scores for scores in videos.scores]
    values = np.array(
        [math.nan if left else row.get(name, math.nan) for left, row in zip(out, videos.scores, strict=True)]
    )
    if any(out):
        made_by += f"; {sum(out)} of {count} videos do not move and are left out"
    if name == "prompt_fidelity" and (cut := sum(CUT_PROMPT in scores for scores in videos.scores)):
        made_by += f"; {cut} of {count} prompts are longer than it reads, and are cut"
    known = ~np.isnan(values)
    weights = None if weights is None else weights[known]
    mean = bootstrap_mean(values[known], weights=weights, **options) if known.any() else NOTHING
    return mean, made_by, values


def evaluate_dense(
    task: Task,
    rows: Iterable[Mapping[str, float]],
    *,
    labeller: str,
    comparators: Sequence[str] = (),
    bootstrap_samples: int = 2000,
    seed: int = 0,
) -> dict[str, dict]:
    """Return the figures of predictions against a labeller, with controls, gains over them, and comparators' figures.

    A gain (`..._over_shuffled`, `..._over_constant`) is paired, video by video. Where no video could be compared, the
    figures of the task's `ceilings` and their controls are there without a value.

    Args:
        task: Of the predictions.
        rows: Figures by clip, as `compare_samples` finds them.
        labeller: The judge.
        comparators: Further labellers, whose figures are called LABELLER_FIGURE.
        bootstrap_samples: Resamples of every interval.
        seed: Of the resampling.
    """
    rows = list(rows)
    options = {"resamples": bootstrap_samples, "seed": seed}
    if not rows:
        controls = CONTROLS if task.has_constant else CONTROLS[:1]
        keys = [(key, labels_control(key), *(f"{key}_{control}" for control in controls)) for key in task.ceilings]
        return dict.fromkeys([key for each in keys for key in each], entry(NOTHING, labeller))
    sources = _sources(task, labeller, comparators)
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: np.array([row.get(name, math.nan) for row in rows]) for name in names}
    for key, control in itertools.product(task.ceilings, CONTROLS):
        if f"{key}_{control}" in columns:
            columns[f"{key}_over_{control}"] = columns[key] - columns[f"{key}_{control}"]
    return {
        name: entry(bootstrap_mean(values[~np.isnan(values)], **options), sources.get(name, labeller), values, COMPARED)
        for name, values in columns.items()
    }


_ALONE = {"motion": FLOW_METHOD, "colormap": "the colormap alone", "nothing": "the prediction alone"}


def _sources(task: Task, labeller: str, comparators: Sequence[str]) -> dict[str, str]:
    """Return what made each figure, of those that are not simply a prediction against the labeller."""
    sources = {}
    for figure in task.figures["generated"]:
        source = _ALONE.get(figure.against, labeller)
        sources |= {figure.key: source, f"{figure.key}_shuffled": source}
        sources |= {f"{name}_{figure.key}": f"{name} against {source}" for name in comparators}
        sources[f"{figure.key}_labels"] = f"{labeller} against {source}" if figure.against == "motion" else labeller
    return sources


def evaluate_labels(job: LabelQuality, comparisons: Mapping[str, Mapping[str, Comparison]]) -> dict:
    """Return the content of labels.json: each labeller's figures, clip by clip too, and their gaps to the judge's.

    The judges' figures stand at the top as well: they are the ones that goals name.

    Args:
        job: The judges.
        comparisons: Kind -> labeller -> comparison with the truth.
    """
    options = {"resamples": job.bootstrap_samples, "seed": job.seed}
    variants: dict[str, dict] = {kind: {} for kind in comparisons}
    for kind, labellers in comparisons.items():
        judge = labellers[job.judges[kind]].clips
        for labeller, found in labellers.items():
            refused = {registry.REFUSED[kind].key: [0.0] * len(found.clips) + [1.0] * len(found.left_out)}
            metrics = {
                name: entry(bootstrap_mean(values, **options), "exact truth", values)
                for name, values in (_columns(found.clips.values()) | refused).items()
            }
            gaps = {} if found.clips is judge else _gaps(found.clips, judge, options)
            variants[kind][labeller] = {"metrics": metrics, "difference": gaps, "clips": found.clips}
            variants[kind][labeller]["refused"] = found.left_out
    top = {}
    for kind, labellers in variants.items():
        top |= labellers[job.judges[kind]]["metrics"]
    return {"metrics": top, "variants": variants}


def evaluate_round_trips(job: CodecQuality, values: Mapping[str, Sequence[float]]) -> dict:
    """Return the content of codec.json; a largest error has no mean: it is the worst over all clips."""
    metrics = {}
    for name, found in values.items():
        if registry.describe(f"codec.{name}").summary == "max":
            metrics[name] = entry(Estimate(max(found), math.nan, math.nan, len(found)), "no VAE", found)
        else:
            estimate = bootstrap_mean(found, resamples=job.bootstrap_samples, seed=job.seed)
            metrics[name] = entry(estimate, job.base, found)
    return {"metrics": metrics}


def evaluate_runtime(timings: Sequence[Mapping[str, float]], *, hardware: str) -> dict[str, dict]:
    """Return `runtime_seconds` and its parts (`runtime_transformer_seconds`, ...), medians of repeated timings.

    Args:
        timings: Each with `total` and the pipeline's parts, seconds; without the first, which loads and warms up.
        hardware: Stands as extractor.
    """
    columns = {
        "runtime_seconds": [timing["total"] for timing in timings],
        **{f"runtime_{part}_seconds": [timing[part] for timing in timings] for part in registry.RUNTIME_PARTS},
        "runtime_other_seconds": [
            timing["total"] - sum(timing[part] for part in registry.RUNTIME_PARTS) for timing in timings
        ],
    }
    return {name: entry(bootstrap_median(seconds), hardware, seconds, ROUNDS) for name, seconds in columns.items()}


def quality_document(
    run: str, task: str, seed: int, num_videos: int, metrics: dict[str, dict], clips: dict[str, list[str]]
) -> dict:
    """Return the content of a file of measurements; task is `video` for a run without dense task.

    clips: the lists that the figures' `clips` name.
    """
    return {"run": run, "task": task, "seed": seed, "n": num_videos, "metrics": metrics, "clips": clips}


def _gaps(clips: Mapping[str, dict], judge: Mapping[str, dict], options: dict) -> dict[str, dict]:
    """Figures minus the judge's, over the clips that both have, with paired intervals."""
    pairs = [(row, judge[clip_id]) for clip_id, row in clips.items() if clip_id in judge]
    gaps = {}
    for name in dict.fromkeys(name for row, other in pairs for name in row if name in other):
        both = [(row[name], other[name]) for row, other in pairs if name in row and name in other]
        gaps[name] = entry(bootstrap_difference(*zip(*both, strict=True), **options), "exact truth")
    return gaps


def _columns(rows: Iterable[Mapping[str, float]]) -> dict[str, list[float]]:
    """Figure -> its values over the clips that have it."""
    values: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            values.setdefault(name, []).append(value)
    return values
