"""How runs stand to the base that was fine-tuned alike: distances to real videos, and the video's validation loss.

Conditions are equal: the same prompts and video noise, the same real videos, the same features, the same clips, captions
and noise in validation, and the same steps. Knows figures and log entries, no features and no file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

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
    where both runs were validated at one step; `conditions` says what the ratios were taken under. Their intervals are
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
