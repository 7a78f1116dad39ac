"""The codec: painting and decoding of a clip, beside a plain gather of colours in the same run, and what memory it holds.

Colormaps are painted from drawn cells, and degraded by blur, noise and drifting colours as a VAE does it. With
`--definition`, decoding is set beside its plain definition, that the tests keep, too: the same ids, and slow.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

import numpy as np

from benchmarks import clock
from benchmarks.pairing import median, ratio, take_turns
from benchmarks.results import results_path, table, write_results
from udpdiff.representations import location_colormap, pixelplanes, spectral
from udpdiff.representations.entity_decoding import decode_entities

_GATHER = "gather: colors[ids]"
_COARSE = 4  # pixels a side of what cells are drawn of
_SHOWN = 14  # functions of the profile


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.codec", description=__doc__)
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=720)
    parser.add_argument("--num-frames", type=int, default=49)
    parser.add_argument("--entities", type=int, default=50)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--definition", action="store_true", help="set decoding beside its plain definition, too")
    parser.add_argument("--output", type=Path, help="by default beside this file")
    clock.add_option(parser)
    options = parser.parse_args(arguments)

    size = options.num_frames, options.height, options.width
    works = codec_works(size, options.entities, options.definition)
    timings = take_turns({name: _timed(work) for name, work in works.items()}, options.repeats)
    rows = [
        {
            "what": name,
            "seconds": median([each["seconds"] for each in found]),
            f"ratio to {_GATHER}": ratio(found, timings[_GATHER], "seconds"),
            "MB held at most, result included": f"{_peak_bytes(works[name]) / 1e6:.0f}",
        }
        for name, found in timings.items()
    ]
    shape = f"{options.height}x{options.width}"
    write_results(
        options.output or results_path("codec", shape),
        "benchmarks.codec",
        f"The codec at {' x '.join(map(str, size))} with {options.entities} entities",
        [
            table(rows),
            "Where decoding of the degraded colormap spends its time, by a profile of one call (functions' own time):",
            table(_profile(works["entities, decoding of a degraded colormap"])),
        ],
        arguments,
    )


def codec_works(size: tuple[int, int, int], entities: int, definition: bool) -> dict[str, Callable[[], object]]:
    """Return what is timed, by name, for a clip T, H, W."""
    rng = np.random.default_rng(0)
    ids = drawn_cells(size, entities, rng)
    painted, colors = pixelplanes.encode_entities(ids, rng)
    degraded = _degraded(painted, rng)
    depth = (ids / np.float32(ids.max())).astype(np.float32)
    coded = _degraded(spectral.encode_depth(depth), rng)
    works = {
        _GATHER: lambda: colors[ids],
        "entities, painting by Pixelplanes": lambda: pixelplanes.encode_entities(ids, np.random.default_rng(1)),
        "entities, painting by location": lambda: location_colormap.encode_entities(ids),
        "entities, decoding of a painted colormap": lambda: decode_entities(painted),
        "entities, decoding of a degraded colormap": lambda: decode_entities(degraded),
        "depth, painting by Spectral": lambda: spectral.encode_depth(depth),
        "depth, decoding of a degraded colormap": lambda: spectral.decode_depth(coded),
    }
    if definition:
        plain = import_module("tests.representations.plain_entity_decoding")
        works["entities, degraded, by the definition"] = lambda: plain.decode(degraded)
        works["entities, painted, by the definition"] = lambda: plain.decode(painted)
    return works


def drawn_cells(size: tuple[int, int, int], count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw cells around points that drift, without a background: uint16 (T, H, W), ids from 1."""
    from scipy.spatial import cKDTree

    _, height, width = size
    rows, columns = -(-height // _COARSE), -(-width // _COARSE)
    places = np.stack(np.mgrid[:rows, :columns], axis=-1)
    points, steps = rng.uniform(0, (rows, columns), (count, 2)), rng.normal(0, 0.4, (count, 2))
    ids = np.empty(size, np.uint16)
    for time_step, frame in enumerate(ids):
        _, nearest = cKDTree(points + steps * time_step).query(places)
        frame[...] = (nearest + 1).repeat(_COARSE, 0).repeat(_COARSE, 1)[:height, :width]
    return ids


def _degraded(colormap: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    from scipy import ndimage

    degraded, drift = np.empty_like(colormap), rng.uniform(0, 2 * np.pi, 3)
    for number, (frame, painted) in enumerate(zip(degraded, colormap, strict=True)):
        blurred = ndimage.gaussian_filter(painted.astype(np.float32), (1.5, 1.5, 0))
        blurred += 6 * np.sin(np.pi * number / len(colormap) + drift)
        blurred += rng.normal(0, 4, blurred.shape)
        frame[...] = np.clip(np.rint(blurred), 0, 255)
    return degraded


def _timed(work: Callable[[], object]) -> Callable[[int], Mapping[str, float]]:
    def timed(_: int) -> dict[str, float]:
        start = time.perf_counter()
        work()
        return {"seconds": time.perf_counter() - start}

    return timed


def _peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    result = work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del result
    return peak


def _profile(work: Callable[[], object]) -> list[dict[str, object]]:
    profile = cProfile.Profile()
    profile.runcall(work)
    found = pstats.Stats(profile).stats
    total = sum(own for _, _, own, _, _ in found.values())
    slowest = sorted(found.items(), key=lambda item: -item[1][2])[:_SHOWN]
    return [
        {"function": f"`{Path(file).name} {name}`", "calls": calls, "share": f"{own / total:.0%}"}
        for (file, _, name), (_, calls, own, _, _) in slowest
    ]


if __name__ == "__main__":
    main(sys.argv[1:])
