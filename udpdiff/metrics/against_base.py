"""How runs stand to the base that was fine-tuned alike: distances to real videos, and the video's validation loss.

Conditions are equal: the same prompts and video noise, the same real videos, the same features, the same clips, captions
and noise in validation, and the same steps. Knows features and log entries, and no file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from udpdiff.jobs import CompareWithBase
from udpdiff.measures import fvd
from udpdiff.metrics.bootstrap import Estimate, draw_subsets, subsample_ratio
from udpdiff.metrics.evaluate import entry
from udpdiff.metrics.feature_shards import VideoSet

SUBSETS, SHARE = 200, 0.5
DISTANCES = ("fvd", "kvd")


def compare_with_base(
    job: CompareWithBase,
    features: Mapping[tuple[str, str], VideoSet],
    reference: VideoSet,
    logs: Mapping[str, Sequence[Mapping]],
) -> dict:
    """Return the content of against_base.json.

    `variants.runs.RUN.metrics` holds `fvd_ratio_TASK` and `kvd_ratio_TASK`, and `video_loss` and `video_loss_ratio`
    where both runs were validated at one step; `conditions` says what the ratios were taken under.

    Args:
        job: The base, and the (run, task) pairs set against it.
        features: Of the generated videos, of all pairs and the base's.
        reference: Features of real videos.
        logs: Entries of train.jsonl by run.

    Raises:
        ValueError: Videos of a pair are of other prompts than the base's, or features of different networks.
    """
    base = features[job.base, "video"]
    for pair in job.pairs:
        _check_equal(pair, features[pair], base, reference)
    sets = [base.features, *(features[pair].features for pair in job.pairs)]
    count, (real, dimensions) = len(base.features), reference.features.shape
    ratios = distance_ratios(reference.features, sets[0], sets[1:], seed=job.seed)
    network = base.names["video"]
    metrics: dict[str, dict] = {}
    for (run, task), found in zip(job.pairs, ratios, strict=True):
        metrics.setdefault(run, {}).update({f"{name}_{task}": entry(each, network) for name, each in found.items()})
    for run in metrics:
        metrics[run] |= _loss_figures(logs[run], logs[job.base])
    conditions = {"videos": count, "real_videos": real, "dimensions": dimensions, "network": network}
    conditions |= {"subsets": SUBSETS, "share": SHARE, "base": job.base}
    top = {"feature_dimensions": entry(Estimate(dimensions, math.nan, math.nan, count), network)}
    variants = {run: {"metrics": found} for run, found in metrics.items()}
    return {"metrics": top, "variants": {"runs": variants}, "conditions": conditions}


def distance_ratios(
    reference: np.ndarray, base: np.ndarray, sets: Sequence[np.ndarray], *, seed: int = 0
) -> list[dict[str, Estimate]]:
    """Return `fvd_ratio` and `kvd_ratio` of each set, with paired intervals.

    Every one of 200 subsets takes half of the videos, those of the same prompts from every set, and half of the real
    ones, without replacement. What a distance needs of one set alone is made once for each subset.

    Args:
        reference: Features of real videos (M, D).
        base: Of the base's videos (N, D).
        sets: Of other videos, each (N, D), row by row of the base's prompts.
        seed: Of the subsets.
    """
    sets = [base, *sets]
    whole = _distances(reference, sets)
    drawn = draw_subsets(len(reference), len(base), subsets=SUBSETS, share=SHARE, seed=seed)
    subsets = np.array([_distances(reference[real], [each[rows] for each in sets]) for real, rows in drawn])
    return [
        {
            f"{name}_ratio": subsample_ratio(
                whole[kind, index],
                whole[kind, 0],
                subsets[:, kind, index],
                subsets[:, kind, 0],
                share=SHARE,
                n=len(base),
            )
            for kind, name in enumerate(DISTANCES)
        }
        for index in range(1, len(sets))
    ]


def _distances(reference: np.ndarray, sets: Sequence[np.ndarray]) -> np.ndarray:
    """Return both distances of each set to the reference (2, number of sets)."""
    kernel = [fvd.kernel_distance(reference, each) for each in sets]
    real = fvd.moments(reference)
    return np.array([[real.distance(fvd.moments(each)) for each in sets], kernel])


def _check_equal(pair: tuple[str, str], videos: VideoSet, base: VideoSet, reference: VideoSet) -> None:
    if videos.clip_ids != base.clip_ids:
        raise ValueError(
            f"Videos of {'/'.join(pair)}: got {len(videos.clip_ids)} of other prompts than the base's "
            f"{len(base.clip_ids)}, expected the same prompts in one order; sample both again."
        )
    names = {each.names["video"] for each in (videos, base, reference)}
    if len(names) > 1:
        raise ValueError(
            f"Video features of {'/'.join(pair)}, the base and real videos: got those of {', '.join(sorted(names))}, "
            "expected one network, as distances between two mean nothing. Extract them again."
        )


def _loss_figures(log: Sequence[Mapping], base_log: Sequence[Mapping]) -> dict[str, dict]:
    """Return the video's validation loss at the last step at which both runs were validated, and its ratio."""
    losses, base_losses = video_losses(log), video_losses(base_log)
    steps = losses.keys() & base_losses.keys()
    if not steps:
        return {}
    step = max(steps)
    values = {"video_loss": losses[step], "video_loss_ratio": losses[step] / base_losses[step]}
    made_by = f"validation after {step} steps"
    return {name: entry(Estimate(value, math.nan, math.nan, 1), made_by) for name, value in values.items()}


def video_losses(log: Sequence[Mapping]) -> dict[int, float]:
    """Return the video's validation loss by step, of the entries that have one."""
    found = {each["step"]: each.get("validation", {}).get("loss_video") for each in log}
    return {step: loss for step, loss in found.items() if loss is not None}
