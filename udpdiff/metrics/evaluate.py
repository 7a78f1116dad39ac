"""From the figures of single clips to those of a set, with 95 % intervals, in the form that tables and pages read.

Every `metrics` is name -> {"value", "low", "high", "n", "per_video", "extractor"}, plain JSON: low and high are the ends
of the interval (null when n is too small), per_video the values in the order of the clips (empty for figures of the
whole set, null for a clip that is left out), extractor what made them. Knows no video and no label.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from udpdiff.jobs import CodecQuality, EvaluateSamples, LabelQuality
from udpdiff.measures import fvd
from udpdiff.metrics import registry
from udpdiff.metrics.bootstrap import (
    Estimate,
    bootstrap_difference,
    bootstrap_mean,
    bootstrap_median,
    subsample_interval,
)
from udpdiff.metrics.comparison import Comparison, read_comparisons
from udpdiff.metrics.feature_shards import CUT_PROMPT, STILL, VideoSet, read_features
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
    generated = read_features(features)
    options = {"bootstrap_samples": job.bootstrap_samples, "seed": job.seed}
    metrics = evaluate_videos(generated, read_features(reference), **options)
    document = quality_document(job.run, job.task, job.seed, len(generated.clip_ids), metrics)
    if not job.judge:
        return document
    joined = read_comparisons(comparisons)
    metrics |= evaluate_dense(
        get_task(job.task), joined.clips.values(), labeller=job.judge, comparators=job.comparators, **options
    )
    return document | {"left_out": joined.left_out}


def evaluate_videos(
    generated: VideoSet, reference: VideoSet, *, bootstrap_samples: int = 2000, seed: int = 0
) -> dict[str, dict]:
    """Return the figures of generated videos, the same of reference videos (`..._real`), and the distance between both.

    Videos in which nothing moves are perfectly consistent and smooth: they are left out of these figures, and the
    extractor's words say how many they are. The distances and the dynamic degree, which is then 0, tell what they are
    worth.

    Consistencies lie in [0, 1], and longer videos weigh more. `fvd` is biased upwards by small sets: read it beside
    `fvd_floor`, the distance between halves of the reference, and `fvd_infinity` (left out below 6 videos; the floor
    below 4). `kvd` has no such bias.

    Raises:
        ValueError: The features are those of different networks.
    """
    if generated.names["video"] != reference.names["video"]:
        raise ValueError(
            f"Video features: got {generated.names['video']!r} of generated and {reference.names['video']!r} of real "
            "videos, expected one network, as distances between two mean nothing. Extract both again."
        )
    options = {"resamples": bootstrap_samples, "seed": seed}
    metrics = _video_figures(generated, options)
    real = {registry.of_real(name): figure for name, figure in _video_figures(reference, options).items()}
    return metrics | real | _distances(reference.features, generated.features, generated.names["video"], seed)


def _video_figures(videos: VideoSet, options: dict) -> dict[str, dict]:
    """Return the means of the figures of single videos: those that any of them has."""
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
            found[name] = _mean_over_videos(videos, name, videos.names[source], weights, moving, options)
    return found


def _mean_over_videos(
    videos: VideoSet, name: str, made_by: str, weights: np.ndarray | None, moving: bool, options: dict
) -> dict:
    """Return the mean of a figure over the videos that have it. moving: those in which nothing moves are left out."""
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
    return entry(mean, made_by, values)


def _distances(reference, generated, extractor: str, seed: int) -> dict[str, dict]:
    metrics = {}
    for name, distance in (("fvd", fvd.frechet_distance), ("kvd", fvd.kernel_distance)):
        metrics[name] = entry(subsample_interval(distance, reference, generated, seed=seed), extractor)
    count = min(len(reference), len(generated))
    if count >= 6:
        line = fvd.fvd_infinity(reference, generated, np.random.default_rng(seed))
        reach = 1.96 * line.standard_error
        estimate = Estimate(line.value, line.value - reach, line.value + reach, len(generated))
        metrics["fvd_infinity"] = entry(estimate, extractor)
    if len(reference) >= 4:
        floor = fvd.split_floor(reference, np.random.default_rng(seed))
        metrics["fvd_floor"] = entry(Estimate(floor, math.nan, math.nan, len(reference) // 2), extractor)
    return metrics


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
    own = {figure.key for figure in task.figures["generated"]}
    sources = {f"{name}_{key}": f"{name} against {labeller}" for name in comparators for key in own}
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: np.array([row.get(name, math.nan) for row in rows]) for name in names}
    for key, control in itertools.product(task.ceilings, CONTROLS):
        if f"{key}_{control}" in columns:
            columns[f"{key}_over_{control}"] = columns[key] - columns[f"{key}_{control}"]
    return {
        name: entry(bootstrap_mean(values[~np.isnan(values)], **options), sources.get(name, labeller), values)
        for name, values in columns.items()
    }


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
    return {name: entry(bootstrap_median(seconds), hardware) for name, seconds in columns.items()}


def quality_document(run: str, task: str, seed: int, num_videos: int, metrics: dict[str, dict]) -> dict:
    """Return the content of a file of measurements; task is `video` for a run without dense task."""
    return {"run": run, "task": task, "seed": seed, "n": num_videos, "metrics": metrics}


def entry(estimate: Estimate, extractor: str, per_video: Iterable[float] = ()) -> dict:
    """Return one figure as plain JSON; values and ends of the interval that are not a number become null."""
    values = [None if math.isnan(value) else float(value) for value in per_video]
    fields = asdict(estimate) | {"per_video": values, "extractor": extractor}
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in fields.items()}


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
