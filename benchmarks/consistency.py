"""Subject and background consistency and motion smoothness, against a plain loop over single frames, size by size.

The loop prepares a frame, sends it through the network, and goes on to the next, as one writes it first; smoothness goes
pair by pair in floats. Both give the same numbers, which is checked. The networks are the mini ones, so that preparing
frames is most of the work, as it is on a processor; with large networks on a GPU it is the batches that count.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks import clock
from benchmarks.pairing import ratio, take_turns
from benchmarks.results import results_path, table, write_results
from udpdiff.default_device import default_device
from udpdiff.measures import vbench
from udpdiff.metrics import preprocessing
from udpdiff.metrics.extractors import Extractors, load_extractors

SIZES = ("9x64x64", "17x128x128", "25x256x256", "49x480x720")
FIGURES = ("subject consistency", "background consistency", "motion smoothness")
AGREEMENT = 1e-6  # of the figures of both ways


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.consistency", description=__doc__)
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="FRAMESxHEIGHTxWIDTH")
    parser.add_argument("--subject-encoder", default="mini:subject_encoder")
    parser.add_argument("--image-encoder", default="mini:image_encoder")
    parser.add_argument("--device", default=default_device())
    parser.add_argument("--repeats", type=int, default=7)
    clock.add_option(parser)
    parser.add_argument("--output", type=Path, help="by default beside this file")
    options = parser.parse_args(arguments)
    networks = load_extractors(
        "mini:video_encoder", options.subject_encoder, options.image_encoder, "blend", device=options.device
    )
    rows = [row for size in options.sizes for row in compare(networks, make_video(size), size, options.repeats)]
    place = options.device.partition(":")[0]
    write_results(
        options.output or results_path("consistency", place),
        "benchmarks.consistency",
        "Consistencies and smoothness of one video, against a loop over single frames",
        [table(rows)],
        arguments,
    )


def make_video(size: str) -> np.ndarray:
    """Return noise that drifts, uint8 (T, H, W, 3), of a size written as 49x480x720."""
    frames, height, width = map(int, size.split("x"))
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (height, width + frames, 3), np.uint8)
    return np.stack([picture[:, start : start + width] for start in range(frames)])


def compare(networks: Extractors, video: np.ndarray, size: str, repeats: int) -> list[dict[str, object]]:
    """Return a row of the table for each figure and for the three together."""
    ways = {"ours": ours(networks, video), "loop": loop(networks, video)}
    timings = take_turns({name: lambda turn, way=way: _timed(way) for name, way in ways.items()}, repeats)
    worst = max(abs(ways["ours"][name]() - ways["loop"][name]()) for name in FIGURES)
    if worst > AGREEMENT:
        raise ValueError(f"{size}: both ways differ by {worst:.2g}, expected at most {AGREEMENT:g}.")
    rows = []
    for part in (*FIGURES, "all three"):
        seconds = {name: float(np.median([timing[part] for timing in found])) for name, found in timings.items()}
        rows.append(
            {
                "frames x height x width": size,
                "figure": part,
                "loop, s": f"{seconds['loop']:.4g}",
                "ours, s": f"{seconds['ours']:.4g}",
                "ours / loop": str(ratio(timings["ours"], timings["loop"], part)),
                "largest difference": f"{worst:.1g}" if part == "all three" else None,
            }
        )
    return rows


def ours(networks: Extractors, video: np.ndarray) -> Mapping[str, Callable[[], float]]:
    """Return the three figures as the package takes them."""
    return {
        FIGURES[0]: lambda: vbench.consistency(networks.subject.encode(video)),
        FIGURES[1]: lambda: vbench.consistency(networks.image.encode(video)),
        FIGURES[2]: lambda: vbench.motion_smoothness(video, networks.interpolator.interpolate),
    }


def loop(networks: Extractors, video: np.ndarray) -> Mapping[str, Callable[[], float]]:
    """Return the three figures, one frame or pair after the other."""
    return {
        FIGURES[0]: lambda: vbench.consistency(_frame_by_frame(networks.subject, video)),
        FIGURES[1]: lambda: vbench.consistency(_frame_by_frame(networks.image, video)),
        FIGURES[2]: lambda: _pair_by_pair(networks.interpolator.interpolate, video),
    }


def _frame_by_frame(encoder, video: np.ndarray) -> np.ndarray:
    features = []
    with torch.inference_mode():
        for frame in video:
            pixels = encoder.prepare(preprocessing.as_float_frames(frame[None], encoder.model.device))
            features.append(encoder.forward(pixels).float().cpu())
    return torch.cat(features).numpy()


def _pair_by_pair(interpolate, video: np.ndarray) -> float:
    differences = []
    for index in range(1, len(video) - 1, 2):
        before, after = (video[place][None].astype(np.float32) for place in (index - 1, index + 1))
        predicted = vbench.truncate_to_uint8(interpolate(before, after)).astype(np.float64)
        differences.append(np.abs(predicted - video[index]).mean())
    return (255 - float(np.mean(differences))) / 255


def _timed(figures: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    seconds = {}
    for name, figure in figures.items():
        start = time.perf_counter()
        figure()
        seconds[name] = time.perf_counter() - start
    return seconds | {"all three": sum(seconds.values())}


if __name__ == "__main__":
    main(sys.argv[1:])
