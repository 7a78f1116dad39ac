"""Runs compared with the base fine-tuned under equal conditions: distances to real videos and validation loss of the video.

Conditions are equal: the same prompts and video noise, the same real videos, the same features, the same clips, captions
and noise in validation, and the same steps. A labeller may have rejected clips that the base was validated on, so the loss
is compared over those of both. Knows figures and log entries, no features and no file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from udpdiff.jobs import CompareWithBase
from udpdiff.metrics.bootstrap import Estimate, subsample_ratio
from udpdiff.metrics.records import VIDEOS, entry
from udpdiff.metrics.set_distances import SHARE, SUBSETS

DISTANCES = ("fvd", "kvd")


def compare_with_base(
    job: CompareWithBase, measured: Mapping[tuple[str, str], Mapping], logs: Mapping[str, Sequence[Mapping]]
) -> dict:
    """Return the content of against_base.json.

    `variants.runs.RUN.metrics` holds `fvd_ratio_TASK` and `kvd_ratio_TASK`, and `video_loss` and `video_loss_ratio`
    where both runs were validated at one step, on some clip both; `conditions` says what the ratios were taken under. Their intervals are
    from distances on the same 200 subsets of half the prompts and half the real videos, see `set_distances`.

    Args:
        job: The base, and the (run, task) pairs set against it.
        measured: The content of quality.json, of all pairs and the base.
        logs: Entries of train.jsonl by run.

    Raises:
        ValueError: Videos of a pair are of other prompts than the base's, or features of different networks.
    """
    base = measured[job.base, "video"]
    metrics: dict[str, dict] = {}
    for run, task in job.pairs:
        _check_equal((run, task), measured[run, task], base)
        ratios = distance_ratios(measured[run, task]["metrics"], base["metrics"])
        network = base["metrics"]["fvd"]["extractor"]
        metrics.setdefault(run, {}).update({f"{name}_{task}": entry(each, network) for name, each in ratios.items()})
    for run in metrics:
        metrics[run] |= _loss_figures(logs[run], logs[job.base])
    distance = base["metrics"]["fvd"]
    count, dimensions, network = distance["n"], distance["dimensions"], distance["extractor"]
    conditions = {"videos": count, "real_videos": distance["n_reference"], "dimensions": dimensions, "network": network}
    conditions |= {"subsets": SUBSETS, "share": SHARE, "base": job.base}
    top = {"feature_dimensions": entry(Estimate(dimensions, math.nan, math.nan, count), network)}
    variants = {run: {"metrics": found} for run, found in metrics.items()}
    return {"metrics": top, "variants": {"runs": variants}, "conditions": conditions}


def distance_ratios(metrics: Mapping[str, Mapping], base: Mapping[str, Mapping]) -> dict[str, Estimate]:
    """Return `fvd_ratio` and `kvd_ratio` of figures to the base's, both with their distances on the same subsets."""
    return {
        f"{name}_ratio": subsample_ratio(
            metrics[name]["value"],
            base[name]["value"],
            metrics[name]["per_subset"],
            base[name]["per_subset"],
            share=SHARE,
            n=base[name]["n"],
        )
        for name in DISTANCES
    }


def _check_equal(pair: tuple[str, str], videos: Mapping, base: Mapping) -> None:
    own, others = (set(each["clips"][VIDEOS]) for each in (videos, base))
    if own != others:
        raise ValueError(
            f"Videos of {'/'.join(pair)}: got {len(own)} of other prompts than the base's {len(others)}, expected the same "
            "prompts; sample both again."
        )
    distances = [each["metrics"]["fvd"] for each in (videos, base)]
    names = {each["extractor"] for each in distances}
    if len(names) > 1:
        raise ValueError(
            f"Video features of {'/'.join(pair)} and the base: got those of {', '.join(sorted(names))}, expected one "
            "network, as distances between two mean nothing. Extract them again."
        )
    if len({each["subsets"] for each in distances}) > 1:
        raise ValueError(
            f"Distances of {'/'.join(pair)} and the base: got those to other real videos, or on subsets by another seed, "
            "expected the same; measure both again."
        )


def _loss_figures(log: Sequence[Mapping], base_log: Sequence[Mapping]) -> dict[str, dict]:
    """Return the video's validation loss at the last step at which both runs were validated, and its ratio."""
    shared = shared_video_losses(log, base_log)
    if not shared:
        return {}
    step = max(shared)
    loss, base_loss, clips = shared[step]
    values = {"video_loss": loss, "video_loss_ratio": loss / base_loss}
    made_by = f"validation after {step} steps"
    return {name: entry(Estimate(value, math.nan, math.nan, clips), made_by) for name, value in values.items()}


def shared_video_losses(log: Sequence[Mapping], base_log: Sequence[Mapping]) -> dict[int, tuple[float, float, int]]:
    """Return the video's validation loss of a run and of the base, and of how many clips, by step.

    Means over the clips that both were validated on after that step; a clip that a run shows with several tasks counts
    once. Nothing of a log that does not tell the loss by clip, as earlier versions' do not.
    """
    losses, base_losses = _by_clip(log), _by_clip(base_log)
    found = {}
    for step in sorted(losses.keys() & base_losses.keys()):
        clips = sorted(losses[step].keys() & base_losses[step].keys())
        if clips:
            mean, base_mean = (fmean(each[step][clip] for clip in clips) for each in (losses, base_losses))
            found[step] = (mean, base_mean, len(clips))
    return found


def _by_clip(log: Sequence[Mapping]) -> dict[int, Mapping[str, float]]:
    return {each["step"]: each.get("validation", {}).get("loss_video_clip", {}) for each in log if "validation" in each}
