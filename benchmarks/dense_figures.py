"""What the figures of dense predictions cost at the paper's size: J and F against their plain definition."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.clock import add_option
from benchmarks.pairing import Timing, median, ratio, take_turns
from benchmarks.plain_boundary import plain_j_and_f
from benchmarks.results import results_path, table, write_results
from udpdiff.measures.boundary import j_and_f
from udpdiff.timing import timed


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.dense_figures", description=__doc__)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=720)
    parser.add_argument("--entities", type=int, default=50)
    parser.add_argument(
        "--pair-frames", type=int, default=3, help="of the clip on which both definitions of J and F run"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, help="by default beside this file")
    add_option(parser)
    options = parser.parse_args(arguments)

    size = (options.height, options.width)
    truth, predicted = moving_cells(options.pair_frames, *size, options.entities)
    timings = take_turns(
        {
            "plain definition": lambda turn: _seconds(lambda: plain_j_and_f(predicted, truth)),
            "`measures.boundary`": lambda turn: _seconds(lambda: j_and_f(predicted, truth)),
        },
        options.repeats,
    )
    plain, ours = plain_j_and_f(predicted, truth), j_and_f(predicted, truth)
    gap = max(abs(plain[0] - ours.j), abs(plain[1] - ours.f))
    rows = [
        {
            "J and F": name,
            "seconds": median([each["total"] for each in own]),
            "ratio": ratio(own, timings["plain definition"], "total"),
        }
        for name, own in timings.items()
    ]
    write_results(
        options.output or results_path("dense_figures", "x".join(map(str, size))),
        "benchmarks.dense_figures",
        f"Figures of dense predictions at {options.height} x {options.width}",
        [
            f"{options.pair_frames} frames of {options.entities} entities; the values differ by {gap:.1g} at most.",
            table(rows),
        ],
        arguments,
    )


def moving_cells(frames: int, height: int, width: int, entities: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return entity_ids uint16 (T, H, W) twice: cells around moving points, and the same a little astray."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 1, (entities, 2)) * (height, width)
    steps = rng.normal(0, 2, (2, entities, 2)) * [[[1]], [[0.5]]]
    starts = points, points + rng.normal(0, 3, points.shape)
    velocities = steps[0], steps[0] + steps[1]
    return tuple(
        np.stack([_cells(start + frame * velocity, height, width) for frame in range(frames)])
        for start, velocity in zip(starts, velocities, strict=True)
    )


def _cells(points: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint16 (H, W): 1 + the index of the nearest point."""
    from scipy.spatial import KDTree

    pixels = np.stack(np.indices((height, width)), axis=-1)
    return (KDTree(points).query(pixels)[1] + 1).astype(np.uint16)


def _seconds(work: Callable[[], object]) -> Timing:
    timings: dict[str, float] = {}
    with timed(timings, "total"):
        work()
    return timings


if __name__ == "__main__":
    main(sys.argv[1:])
