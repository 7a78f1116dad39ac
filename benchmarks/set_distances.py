"""All set distances of one evaluation, beside their plain definition in the same run, which shares nothing between subsets.

Features are drawn: normal, with variances that fall by a power of the dimension's number, as those of networks do; two
sets that differ a little. The plain definition makes the same draws, and takes every distance from the features alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks import clock
from benchmarks.pairing import median, ratio, take_turns
from benchmarks.results import results_path, table, write_results
from udpdiff.measures import fvd
from udpdiff.metrics import set_distances
from udpdiff.metrics.bootstrap import draw_subsets
from udpdiff.metrics.feature_shards import VideoSet

_SEED = 0
_WHOLE, _PLAIN = "all distances of an evaluation", "the same by their plain definition"


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.set_distances", description=__doc__)
    parser.add_argument("--videos", type=int, default=1024, help="of each set")
    parser.add_argument("--dimensions", type=int, nargs="+", default=[400, 768])
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--output", type=Path, help="by default beside this file")
    clock.add_option(parser)
    options = parser.parse_args(arguments)

    parts = []
    for dimensions in options.dimensions:
        works = distance_works(options.videos, dimensions)
        results: dict[str, object] = {}
        timings = take_turns({name: _timed(name, work, results) for name, work in works.items()}, options.repeats)
        rows = [
            {
                "what": name,
                "seconds": median([each["seconds"] for each in found]),
                "ratio to the plain definition of all": ratio(found, timings[_PLAIN], "seconds"),
            }
            for name, found in timings.items()
        ]
        frechet, kernel = largest_gaps(results[_WHOLE], results[_PLAIN])
        words = (
            f"{dimensions} dimensions; no Fréchet distance is farther from its plain definition than {frechet:.1e} of itself, no "
            f"kernel distance than {kernel:.1e}:"
        )
        parts += [words, table(rows)]
    write_results(
        options.output or results_path("set_distances", str(options.videos)),
        "benchmarks.set_distances",
        f"Set distances of {options.videos} generated and {options.videos} real videos",
        parts,
        arguments,
    )


def distance_works(videos: int, dimensions: int) -> dict[str, Callable[[], object]]:
    """Return what is timed, by name; the first two give all distances, see `largest_gaps`."""
    real, made = drawn_features(videos, dimensions)
    ids = [f"{row:05d}" for row in range(videos)]
    sets = [VideoSet(ids, rows, [], np.zeros(0), {"video": "drawn"}, None) for rows in (real, made)]
    subsets = list(draw_subsets(videos, videos, subsets=set_distances.SUBSETS, share=set_distances.SHARE, seed=_SEED))

    def rng():
        return np.random.default_rng(_SEED)

    def of_pair(distances: Callable[[fvd.SetPair], list]) -> Callable[[], list]:
        return lambda: distances(fvd.SetPair(real, made))

    return {
        _WHOLE: lambda: set_distances.measure_distances(*sets, seed=_SEED),
        _PLAIN: lambda: plain_distances(real, made, subsets),
        "Fréchet, whole sets": lambda: fvd.frechet_distance(real, made),
        "Fréchet, subsets": of_pair(lambda pair: [pair.frechet_distance(*rows) for rows in subsets]),
        "Fréchet, halves of subsets": of_pair(
            lambda pair: [pair.extrapolated_distance(*rows, 0.0) for rows in subsets]
        ),
        "Fréchet, extrapolated": lambda: fvd.distances_by_size(real, made, rng()),
        "Fréchet, floor of halves": lambda: fvd.split_floor(real, rng()),
        "kernel, whole sets": lambda: fvd.kernel_distance(real, made),
        "kernel, subsets": of_pair(lambda pair: [pair.kernel_distance(*rows) for rows in subsets]),
    }


def drawn_features(videos: int, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features (N, D) of two sets that differ a little in mean and covariance."""
    rng = np.random.default_rng(_SEED)
    spread = np.arange(1, dimensions + 1) ** -0.75
    turn = np.linalg.qr(rng.normal(size=(dimensions, dimensions)))[0]
    real = rng.normal(size=(videos, dimensions)) * spread @ turn
    return real, rng.normal(size=(videos, dimensions)) * (1.1 * spread) @ turn + 0.05 * spread @ turn


def plain_distances(
    real: np.ndarray, made: np.ndarray, subsets: list[tuple[np.ndarray, np.ndarray]]
) -> dict[str, list]:
    """Return the distances that `measure_distances` keeps, each from the features of its rows."""
    found: dict[str, list] = {"fvd": [], "kvd": [], "fvd_infinity": []}
    for rows, others in subsets:
        whole = fvd.frechet_distance(real[rows], made[others])
        half = len(rows) // 2
        halves = [
            fvd.frechet_distance(real[own], made[other])
            for own, other in ((rows[:half], others[:half]), (rows[half:], others[half:]))
        ]
        found["fvd"].append(whole)
        found["kvd"].append(fvd.kernel_distance(real[rows], made[others]))
        found["fvd_infinity"].append(2 * whole - float(np.mean(halves)))
    rng = np.random.default_rng(_SEED)
    least = int(np.ceil(0.4 * len(real)))
    found["line"] = []
    for size in np.unique(np.linspace(least, len(real), 8).round().astype(int)).repeat(4):
        rows, others = (rng.permutation(len(real))[:size] for _ in range(2))
        found["line"].append(fvd.frechet_distance(real[rows], made[others]))
    rng, half, halves = np.random.default_rng(_SEED), len(real) // 2, []
    for _ in range(8):
        order = rng.permutation(len(real))
        halves.append(fvd.frechet_distance(real[order[:half]], real[order[half : 2 * half]]))
    found["floor"] = [float(np.mean(halves))]
    found["whole"] = [fvd.frechet_distance(real, made)]
    found["kernel of the whole"] = [fvd.kernel_distance(real, made)]
    return found


def largest_gaps(found: dict[str, dict], plain: dict[str, list]) -> tuple[float, float]:
    """Return how far distances of `measure_distances` are from their plain definition, at most.

    Of Fréchet distances as a share of the distance, of kernel distances, which may be 0, as they are.
    """
    own = {name: found[name]["per_subset"] for name in ("fvd", "kvd", "fvd_infinity")}
    own |= {"line": found["fvd_infinity"]["line"]["distances"], "floor": [found["fvd_floor"]["value"]]}
    own |= {"whole": [found["fvd"]["value"]], "kernel of the whole": [found["kvd"]["value"]]}
    gaps = {name: np.abs(np.subtract(own[name], plain[name])) for name in own}
    kernel = ("kvd", "kernel of the whole")
    frechet = max(float(np.max(gaps[name] / np.abs(plain[name]))) for name in own if name not in kernel)
    return frechet, max(float(gaps[name].max()) for name in kernel)


def _timed(name: str, work: Callable[[], object], results: dict[str, object]) -> Callable[[int], dict[str, float]]:
    def timed(turn: int) -> dict[str, float]:
        start = time.perf_counter()
        results[name] = work()
        return {"seconds": time.perf_counter() - start}

    return timed


if __name__ == "__main__":
    main(sys.argv[1:])
