"""What the figures of dense predictions cost: J and F against their plain definition, then all figures of one clip.

Memory is that of numpy's arrays at their peak, the clip, its prediction and its labels included.
"""

from __future__ import annotations

import argparse
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.clock import add_option
from benchmarks.pairing import Timing, median, ratio, take_turns
from benchmarks.plain_boundary import plain_j_and_f
from benchmarks.results import results_path, table, write_results
from udpdiff.measures.boundary import j_and_f
from udpdiff.measures.optical_flow import followed_flow
from udpdiff.tasks import get_task
from udpdiff.timing import timed

T = TypeVar("T")


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.dense_figures", description=__doc__)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=720)
    parser.add_argument("--entities", type=int, default=50)
    parser.add_argument(
        "--pair-frames", type=int, default=3, help="of the clip on which both definitions of J and F run"
    )
    parser.add_argument("--num-frames", type=int, default=49, help="of the clip that all figures are measured of")
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
    measured = measured_parts(*moving_cells(options.num_frames, *size, options.entities)[::-1])
    write_results(
        options.output or results_path("dense_figures", "x".join(map(str, size))),
        "benchmarks.dense_figures",
        f"Figures of dense predictions at {options.height} x {options.width}",
        [
            f"{options.pair_frames} frames of {options.entities} entities; the values differ by {gap:.1g} at most.",
            table(rows),
            f"All figures of a clip of {options.num_frames} frames, each part once, after a first call.",
            table(measured),
        ],
        arguments,
    )


def measured_parts(predicted: np.ndarray, labels: np.ndarray) -> list[dict[str, object]]:
    """Return seconds and peak memory of every part of a comparison, of entities and of depth.

    The video, the colormap and the depth are painted from the entities, with a little noise.
    """
    rng = np.random.default_rng(0)
    palette = rng.integers(0, 256, (int(predicted.max()) + 1, 3)).astype(np.uint8)
    video, colormap = palette[labels], palette[predicted]
    slopes = rng.uniform(0.2, 0.8, len(palette)).astype(np.float32)
    depth, reference = slopes[predicted], slopes[labels] + rng.normal(0, 0.02, labels.shape).astype(np.float32)
    reference = np.clip(reference, 0, 1)
    entities, depths = get_task("seg"), get_task("depth")
    _cost(lambda: entities.compare(predicted[:2, :64, :64], labels[:2, :64, :64]))
    motion, *flow_cost = _cost(lambda: followed_flow(video))
    held = sum(array.nbytes for array in (video, colormap, predicted, labels, depth, reference, motion.flow)) / 1e9
    parts = {
        "optical flow, both ways, and where to trust it": flow_cost,
        "entities against labels": _cost(lambda: entities.compare(predicted, labels))[1:],
        "entities against labels, without J and F": _cost(lambda: entities.compare_main(predicted, labels))[1:],
        "entities along the flow": _cost(lambda: entities.follow(predicted, motion))[1:],
        "fragments, unassigned area, colour purity": _cost(lambda: entities.inspect(predicted, colormap))[1:],
        "depth against labels": _cost(lambda: depths.compare(depth, reference))[1:],
        "depth along the flow": _cost(lambda: depths.follow(depth, motion))[1:],
    }
    return [
        {"part": name, "seconds": f"{seconds:.2f}", "GB of arrays": f"{peak + held:.2f}"}
        for name, (seconds, peak) in parts.items()
    ]


def _cost(work: Callable[[], T]) -> tuple[T, float, float]:
    """Its result, its seconds, and the GB that it holds at the most, from a second call."""
    seconds = _seconds(work)["total"]
    tracemalloc.start()
    try:
        found = work()
        return found, seconds, tracemalloc.get_traced_memory()[1] / 1e9
    finally:
        tracemalloc.stop()


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
