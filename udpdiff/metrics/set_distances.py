"""Distances between the sets of generated and of real videos, each with its noise floor and sample sizes.

The distances on subsets without replacement are kept. Two sets of videos of the same prompts, with the same real videos
and seed, have them on the same subsets, so that any two rows can be compared later from a few hundred numbers, without
features: the covariance over subsets is that of fresh samples (see `bootstrap`). Subsets are drawn of clips sorted by
their ids, whatever the order of shards. Knows features, and no file.
"""

from __future__ import annotations

import math

import numpy as np

from udpdiff.measures import fvd
from udpdiff.metrics.bootstrap import Estimate, draw_subsets, subset_error, subset_interval
from udpdiff.metrics.feature_shards import VideoSet
from udpdiff.metrics.records import entry
from udpdiff.storage.digests import digest

SUBSETS, SHARE = 200, 0.5
LEAST_VIDEOS = 8  # below, subsets tell nothing of the spread
VIDEOS_PER_DIMENSION = 10
FLOOR_SHARE = 0.5


def measure_distances(reference: VideoSet, generated: VideoSet, *, seed: int) -> dict[str, dict]:
    """Return `fvd`, `kvd`, `fvd_infinity` (from 6 videos on) and `fvd_floor` (from 4 real ones on) as figures.

    Of a second network there is `kernel_distance` besides. All but the floor have further fields:

    - per_subset: the distance on each of 200 subsets of half of both sets, none below 8 videos; subsets: a digest of
      what these were drawn from, equal where two figures may be paired. Of `fvd_infinity` it is extrapolated from each
      subset and its halves, see `fvd.SetPair.extrapolated_distance`.
    - dimensions (of the features), n_reference (real videos).
    - floor: what the distance would be without any difference, at these numbers N and M: real halves and real quarters
      are apart f(h) and f(h / 2), which is a power of the numbers (1, the more videos than dimensions there are, and less
      where there are fewer), taken on to them; 0 for distances without bias, and null below 8 real videos.
    - warning: why the value says little, null where it does not: fewer than 10 videos a dimension, or a floor above
      half of the value.
    - line (of `fvd_infinity`): the sizes and distances that it is taken from, on the same draws for two figures that may
      be paired: the chance in them is known from their residuals, and is counted besides that of videos.

    Args:
        reference: Features of real videos.
        generated: Of the generated ones.
        seed: Of all subsets.
    """
    (real, real_ids), (made, ids) = _sorted(reference, reference.features), _sorted(generated, generated.features)
    extractor = generated.names["video"]
    shared_fields = {"subsets": digest([ids, real_ids, SUBSETS, SHARE, seed, extractor]), "dimensions": real.shape[1]}
    shared_fields |= {"n_reference": len(real)}
    floors = _floor_of_halves(real, extractor, seed)
    floor = _floor(floors.get("fvd_floor"), real, len(made), seed)
    drawn = _distances_of_subsets(real, made, seed)
    values = {"fvd": fvd.frechet_distance(real, made), "kvd": fvd.kernel_distance(real, made)}
    warnings = {"fvd": _warning(values["fvd"], floor, len(made), real.shape[1]), "kvd": None}
    found = {}
    for name, value in values.items():
        interval = subset_interval(value, drawn[name], share=SHARE, n=len(made))
        found[name] = (
            entry(interval, extractor) | shared_fields | {"per_subset": drawn[name], "warning": warnings[name]}
        )
        found[name]["floor"] = floor if name == "fvd" else 0.0
    if generated.kernel_features is not None:
        found["kernel_distance"] = _of_second_network(reference, generated, seed)
    if min(len(real), len(made)) >= 6:
        found["fvd_infinity"] = _extrapolated(real, made, extractor, drawn["fvd_infinity"], seed) | shared_fields
    return found | floors


def _extrapolated(real: np.ndarray, made: np.ndarray, extractor: str, per_subset: list[float], seed: int) -> dict:
    """Return the extrapolated distance; the interval holds the chance of videos and that of the line's own draws."""
    sizes, distances = fvd.distances_by_size(real, made, np.random.default_rng(seed))
    line = fvd.extrapolate(sizes, distances)
    reach = 1.96 * math.hypot(line.standard_error, subset_error(per_subset, share=SHARE))
    interval = Estimate(line.value, line.value - reach, line.value + reach, len(made))
    few = _too_few(len(made), real.shape[1])
    return entry(interval, extractor) | {
        "per_subset": per_subset,
        "line": {"sizes": sizes.tolist(), "distances": distances.tolist()},
        "floor": 0.0,
        "warning": f"The bias that is taken off is hardly known: {few}." if few else None,
    }


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


def _distances_of_subsets(real: np.ndarray, made: np.ndarray, seed: int) -> dict[str, list[float]]:
    """Return all three distances on every subset; none for sets too small."""
    found: dict[str, list[float]] = {"fvd": [], "kvd": [], "fvd_infinity": []}
    if min(len(real), len(made)) < LEAST_VIDEOS:
        return found
    pair = fvd.SetPair(real, made)
    for rows in draw_subsets(len(real), len(made), subsets=SUBSETS, share=SHARE, seed=seed):
        found["fvd"].append(pair.frechet_distance(*rows))
        found["kvd"].append(pair.kernel_distance(*rows))
        found["fvd_infinity"].append(pair.extrapolated_distance(*rows, found["fvd"][-1]))
    return found


def _floor_of_halves(real: np.ndarray, extractor: str, seed: int) -> dict[str, dict]:
    """Return `fvd_floor`; nothing below 4 real videos."""
    if len(real) < 4:
        return {}
    floor = fvd.split_floor(real, np.random.default_rng(seed))
    return {"fvd_floor": entry(Estimate(floor, math.nan, math.nan, len(real) // 2), extractor)}


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


def _too_few(count: int, dimensions: int) -> str | None:
    if count >= VIDEOS_PER_DIMENSION * dimensions:
        return None
    return f"{count} videos are fewer than {VIDEOS_PER_DIMENSION} for each of {dimensions} dimensions"


def _warning(value: float, floor: float | None, count: int, dimensions: int) -> str | None:
    reasons = [few] if (few := _too_few(count, dimensions)) else []
    if floor is not None and floor > FLOOR_SHARE * value:
        reasons.append(f"two sets without any difference would be at {floor:.4g}, more than half of what was measured")
    return f"Mostly the bias of small sets: {'; '.join(reasons)}." if reasons else None
