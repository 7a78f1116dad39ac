"""Distances of generated to real videos as sets, each beside what it is worth: numbers, dimensions, floor, subsets.

The distances on subsets without replacement are kept. Two sets of videos of the same prompts, with the same real videos
and seed, have them on the same subsets, so that any two rows can be compared later from a few hundred numbers, without
features: the covariance over subsets is that of fresh samples (see `bootstrap`). Subsets are drawn of clips sorted by
their ids, whatever the order of shards. Knows features, and no file.
"""

from __future__ import annotations

import math

import numpy as np

from udpdiff.measures import fvd
from udpdiff.metrics.bootstrap import Estimate, draw_subsets, subset_interval
from udpdiff.metrics.feature_shards import VideoSet
from udpdiff.metrics.records import entry
from udpdiff.storage.digests import digest

SUBSETS, SHARE = 200, 0.5
LEAST_VIDEOS = 8  # below, subsets tell nothing of the spread
VIDEOS_PER_DIMENSION = 10
FLOOR_SHARE = 0.5


def measure_distances(reference: VideoSet, generated: VideoSet, *, seed: int) -> dict[str, dict]:
    """Return `fvd`, `kvd`, `fvd_infinity` (from 6 videos on) and `fvd_floor` (from 4 real ones on) as figures.

    Of a second network there is `kernel_distance` besides. `fvd`, `kvd` and `kernel_distance` have further fields:

    - per_subset: the distance on each of 200 subsets of half of both sets, none below 8 videos; subsets: a digest of
      what these were drawn from, equal where two figures may be paired.
    - dimensions (of the features), n_reference (real videos).
    - floor: what the distance would be without any difference, at these numbers N and M: real halves and real quarters
      are apart f(h) and f(h / 2), which is a power of the numbers (1, the more videos than dimensions there are, and less
      where there are fewer), taken on to them; 0 for kernel distances, which have none, and null below 8 real videos.
    - warning: why the value says little, null where it does not: fewer than 10 videos a dimension, or a floor above
      half of the value.

    Args:
        reference: Features of real videos.
        generated: Of the generated ones.
        seed: Of all subsets.
    """
    (real, real_ids), (made, ids) = _sorted(reference, reference.features), _sorted(generated, generated.features)
    extractor = generated.names["video"]
    metrics, drawn = _of_whole_sets(real, made, extractor, seed), _distances_of_subsets(real, made, seed)
    floor = _floor(metrics.get("fvd_floor"), real, len(made), seed)
    values = {"fvd": fvd.frechet_distance(real, made), "kvd": fvd.kernel_distance(real, made)}
    found = {}
    for kind, (name, value) in enumerate(values.items()):
        per_subset = drawn[:, kind].tolist()
        interval = subset_interval(value, per_subset, share=SHARE, n=len(made))
        own_floor = floor if name == "fvd" else 0.0
        found[name] = entry(interval, extractor) | {
            "per_subset": per_subset,
            "subsets": digest([ids, real_ids, SUBSETS, SHARE, seed, extractor]),
            "dimensions": real.shape[1],
            "n_reference": len(real),
            "floor": own_floor,
            "warning": _warning(value, own_floor, len(made), real.shape[1]) if name == "fvd" else None,
        }
    if generated.kernel_features is not None:
        found["kernel_distance"] = _of_second_network(reference, generated, seed)
    return found | metrics


def _of_second_network(reference: VideoSet, generated: VideoSet, seed: int) -> dict:
    """Return the kernel distance of the second network's features, on the same subsets as the other distances."""
    real, real_ids = _sorted(reference, reference.kernel_features)
    made, ids = _sorted(generated, generated.kernel_features)
    extractor, per_subset = generated.names["kernel"], []
    if min(len(real), len(made)) >= LEAST_VIDEOS:
        drawn = draw_subsets(len(real), len(made), subsets=SUBSETS, share=SHARE, seed=seed)
        pair = fvd.SetPair(real, made)
        per_subset = [pair.kernel_distance(*rows) for rows in drawn]
    interval = subset_interval(fvd.kernel_distance(real, made), per_subset, share=SHARE, n=len(made))
    return entry(interval, extractor) | {
        "per_subset": per_subset,
        "subsets": digest([ids, real_ids, SUBSETS, SHARE, seed, extractor]),
        "dimensions": real.shape[1],
        "n_reference": len(real),
        "floor": 0.0,
        "warning": None,
    }


def _sorted(videos: VideoSet, features: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Return features and ids in the order of the ids."""
    order = sorted(range(len(videos.clip_ids)), key=videos.clip_ids.__getitem__)
    return features[order], [videos.clip_ids[index] for index in order]


def _distances_of_subsets(real: np.ndarray, made: np.ndarray, seed: int) -> np.ndarray:
    """Return both distances on every subset (S, 2); (0, 2) for sets too small."""
    if min(len(real), len(made)) < LEAST_VIDEOS:
        return np.zeros((0, 2))
    drawn = draw_subsets(len(real), len(made), subsets=SUBSETS, share=SHARE, seed=seed)
    pair = fvd.SetPair(real, made)
    return np.array([(pair.frechet_distance(*rows), pair.kernel_distance(*rows)) for rows in drawn])


def _of_whole_sets(real: np.ndarray, made: np.ndarray, extractor: str, seed: int) -> dict[str, dict]:
    metrics = {}
    if min(len(real), len(made)) >= 6:
        line = fvd.fvd_infinity(real, made, np.random.default_rng(seed))
        reach = 1.96 * line.standard_error
        metrics["fvd_infinity"] = entry(
            Estimate(line.value, line.value - reach, line.value + reach, len(made)), extractor
        )
    if len(real) >= 4:
        floor = fvd.split_floor(real, np.random.default_rng(seed))
        metrics["fvd_floor"] = entry(Estimate(floor, math.nan, math.nan, len(real) // 2), extractor)
    return metrics


def _floor(of_halves: dict | None, real: np.ndarray, count: int, seed: int) -> float | None:
    """Return the floor of so many generated videos, from splits of the real ones; None below 8 of these."""
    half, quarter = len(real) // 2, len(real) // 4
    if of_halves is None or quarter < 2:
        return None
    rng, halves = np.random.default_rng([seed, 1]), of_halves["value"]
    quarters = np.mean(
        [fvd.split_floor(real[rng.permutation(len(real))[: 2 * quarter]], rng, repeats=2) for _ in range(4)]
    )
    power = math.log(quarters / halves) / math.log(half / quarter) if halves > 0 else 1.0
    return float(halves * ((1 / count + 1 / len(real)) / (2 / half)) ** power)


def _warning(value: float, floor: float | None, count: int, dimensions: int) -> str | None:
    reasons = []
    if count < VIDEOS_PER_DIMENSION * dimensions:
        reasons.append(f"{count} videos are fewer than {VIDEOS_PER_DIMENSION} for each of {dimensions} dimensions")
    if floor is not None and floor > FLOOR_SHARE * value:
        reasons.append(f"two sets without any difference would be at {floor:.4g}, more than half of {value:.4g}")
    return f"Mostly the bias of small sets: {'; '.join(reasons)}." if reasons else None
