"""Video and dense stream in less time than the stock pipeline takes for the video alone.

No cache, half the steps, and diffusers' three caches, eager and compiled, in bfloat16 and float8. What the caches do to
samples, and how many steps they answer, comes from a trained run (`--run`, mini where no other is at hand); the times
come from random weights of a shape, with that many steps answered by force. Together they are a projection until real
weights confirm it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import clock, shapes
from benchmarks.caches import compile_blocks, force, shared_copy, spread, to_fp8
from benchmarks.counted import work_ratio
from benchmarks.deviation import (
    FIGURES,
    HIT_RATE,
    VIDEO_FIGURE,
    Deviation,
    Variant,
    measure,
    no_farther,
    recommended,
    variants,
)
from benchmarks.pairing import median, ratio, take_turns
from benchmarks.results import results_path, table, write_results
from udpdiff import jobs
from udpdiff.default_device import default_device
from udpdiff.model.acceleration import accelerate
from udpdiff.model.runtime import time_call
from udpdiff.model.sampling import call_options
from udpdiff.model.streams import VIDEO
from udpdiff.sources.scenes import SceneSettings, render_clip
from udpdiff.storage.captions import read_captions

_FIRST_SCENE = 10**9
TARGET = 0.6  # of the stock pipeline's time
METHODS = ("first_block_cache", "faster_cache", "mag_cache")
STOCK = ("stock, video alone", "eager", "bf16")
Timings = dict[tuple[str, str, str], list[Mapping[str, float]]]


def main(arguments: Sequence[str]) -> None:
    options = parse(arguments)
    run_size = dict(zip(("num_frames", "height", "width"), options.run_size, strict=True))
    prompts = read_prompts(options.captions, options.prompts)
    found = variants(options.steps, fp8="fp8" in options.precisions)
    half = next(variant for variant in found if variant.steps)
    place = (options.device, options.dtype)
    scale = options.guidance_scale
    deviations = measure(options.run, prompts, options.steps, run_size, scale, *place, options.batch_size, found)
    chosen = [recommended(method, found, deviations, half.name) for method in METHODS]
    timings, notes = time_all(options, chosen, deviations, half)
    fair = {name for name, own in deviations.items() if no_farther(own, deviations[half.name])}
    shape = shapes.SHAPES[options.shape]
    size = f"{shape.num_frames} x {shape.height} x {shape.width}"
    write_results(
        options.output or results_path("acceleration", options.shape),
        "benchmarks.acceleration",
        f"Sampling in less time: shape {options.shape}",
        [
            f"## What caches do to samples\n\nFrom the trained run `{Path(options.run).name}` with its own weights,"
            f" {len(prompts)} prompts and every task, {options.steps} steps, set against the same prompt and noise without"
            " a cache: means over prompts. Hit rate: the share of samples whose attention in the last block was answered"
            " from earlier steps.",
            deviation_table(found, deviations),
            f"## Times\n\nFrom random weights of shape {options.shape}, {size}, {options.steps} steps with guidance,"
            f" {options.repeats} rounds. FirstBlockCache and MagCache answer as many steps as above, evenly spread, by"
            f" force; FasterCache follows the timesteps by itself. {' '.join(notes)}",
            time_table(timings, chosen, deviations),
            f"## Projection\n\n{projection(timings, fair, half.name)}",
            "Counted, not measured: work of video and dense stream over the stock call's, if real weights answered as many"
            " steps as the trained run.",
            work_table([half, *chosen], deviations, fair, options.steps),
        ],
        arguments,
    )


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.acceleration", description=__doc__)
    parser.add_argument("--run", required=True, type=Path, help="folder of a trained run that knows both tasks")
    parser.add_argument("--captions", nargs="+", help="tables of captions, as prompts; by default those of new scenes")
    parser.add_argument("--prompts", type=int, default=24)
    parser.add_argument("--batch-size", type=int, default=8, help="prompts at once for the trained run")
    parser.add_argument(
        "--run-size", type=int, nargs=3, default=(9, 64, 64), metavar=("FRAMES", "HEIGHT", "WIDTH"), help="of the run"
    )
    parser.add_argument("--shape", choices=shapes.SHAPES, default="mini")
    parser.add_argument("--device", default=default_device())
    parser.add_argument("--dtype", choices=shapes.DTYPES, default="bfloat16")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--guidance-scale", type=float, default=6.0)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--modes", nargs="+", choices=("eager", "compiled"), default=("eager", "compiled"))
    parser.add_argument("--precisions", nargs="+", choices=("bf16", "fp8"), default=("bf16", "fp8"))
    clock.add_option(parser)
    parser.add_argument("--output", type=Path, help="by default beside this file")
    return parser.parse_args(arguments)


def read_prompts(captions: Sequence[str] | None, count: int) -> list[str]:
    """Return detailed captions: of the tables, or of procedural scenes that the mini scale never trains on."""
    if captions:
        return [texts["detailed"] for texts in read_captions(captions).values()][:count]
    settings = SceneSettings(height=8, width=8, num_frames=5, fps=8, max_solids=3)
    return [render_clip(settings, _FIRST_SCENE + number).detailed for number in range(count)]


def time_all(
    options: argparse.Namespace, chosen: Sequence[Variant], deviations: Mapping[str, Deviation], half: Variant
) -> tuple[Timings, list[str]]:
    """Return the timings of every combination by (name, mode, precision), and what is to be said of them."""
    shape, place = shapes.SHAPES[options.shape], (options.device, options.dtype)
    parts, stock = shapes.components(shape, *place), shapes.base_transformer(shape, *place)
    plain, notes = shapes.widened_transformer(shape, 2, *place), []
    weights = {"bf16": plain}
    if "fp8" in options.precisions:
        weights["fp8"] = shapes.widened_transformer(shape, 2, *place)
        notes.append(f"fp8: {to_fp8(weights['fp8'])}.")
    contenders: dict[tuple[str, str, str], Callable[[int], Mapping[str, float]]] = {}
    for mode in dict.fromkeys(("eager", *options.modes)):
        transformer = shared_copy(stock)
        if mode == "compiled":
            compile_blocks(transformer, None)
        pipeline = shapes.stock_pipeline(parts, transformer)
        contenders[STOCK[0], mode, "bf16"] = _call(pipeline, VIDEO, _job(options, options.steps))
    for precision in options.precisions:
        for mode in options.modes:
            for variant in (Variant("no cache"), half, *chosen):
                transformer = shared_copy(weights[precision])
                if mode == "compiled":
                    compile_blocks(transformer, variant.method)
                pipeline = shapes.our_pipeline(parts, transformer)
                job = _job(options, variant.steps or options.steps)
                if variant.method == "faster_cache":
                    accelerate(pipeline, variant.method, None, call_options(pipeline, job, "depth"))
                elif variant.method:
                    force(pipeline, variant.method, spread(options.steps, deviations[variant.name].mean(HIT_RATE)))
                contenders[variant.name, mode, precision] = _call(pipeline, "depth", job)
    return take_turns(contenders, options.repeats), notes


def _job(options: argparse.Namespace, steps: int) -> jobs.MeasureRuntime:
    return jobs.MeasureRuntime(
        runs=(),
        seed=0,
        repeats=options.repeats,
        num_inference_steps=steps,
        guidance_scale=options.guidance_scale,
        dtype=options.dtype,
        size=shapes.SHAPES[options.shape].clip_size,
    )


def _call(pipeline: Any, task: str, job: jobs.MeasureRuntime) -> Callable[[int], Mapping[str, float]]:
    return lambda turn: time_call(pipeline, task, job, seed=turn)


def deviation_table(found: Sequence[Variant], deviations: Mapping[str, Deviation]) -> str:
    names = (HIT_RATE, VIDEO_FIGURE, *(name for name, _ in FIGURES.values()))
    return table(
        [
            {"sampling": variant.name} | {name: deviations[variant.name].describe(name) for name in names}
            for variant in found
        ]
    )


def time_table(timings: Timings, chosen: Sequence[Variant], deviations: Mapping[str, Deviation]) -> str:
    methods = {variant.name: variant.method for variant in chosen}
    rows = []
    for (name, mode, precision), own in timings.items():
        hits = deviations[name].mean(HIT_RATE) if name in methods else None
        forced = hits is not None and methods[name] != "faster_cache"
        rows.append(
            {
                "pipeline": name if name == STOCK[0] else f"video + dense, {name}",
                "mode": mode,
                "precision": precision,
                "hit rate": hits and f"{hits:.2f}{', forced' if forced else ''}",
                "seconds": median([timing["total"] for timing in own]),
                "ratio to stock eager bf16": ratio(own, timings[STOCK], "total"),
                "of the denoising alone": ratio(own, timings[STOCK], "transformer"),
            }
        )
    return table(rows)


def work_table(listed: Sequence[Variant], deviations: Mapping[str, Deviation], fair: set[str], steps: int) -> str:
    """FasterCache is left out: what it answers is attention and the half without a prompt, not steps."""
    rows = []
    for variant in listed:
        if variant.method == "faster_cache":
            continue
        row: dict[str, object] = {"sampling": variant.name, "no farther off than fewer steps": variant.name in fair}
        for name, shape in shapes.SHAPES.items():
            first_block = 1 / shapes.configs(shape)["transformer"]["num_layers"]
            answered = first_block if variant.method == "first_block_cache" else 0.0
            computed = 1 - (deviations[variant.name].mean(HIT_RATE) or 0.0)
            row[f"work at {name}"] = f"{work_ratio(shape, variant.steps or steps, computed, answered, steps):.2f}"
        rows.append(row)
    return table(rows)


def projection(timings: Timings, fair: set[str], half: str) -> str:
    """Return which combination is fastest of those that lead no farther off than half the steps, in words."""
    ratios = {
        (name, mode, precision): ratio(own, timings[STOCK], "total").median
        for (name, mode, precision), own in timings.items()
        if name in fair and (precision == "bf16" or precision in fair)
    }
    name, mode, precision = best = min(ratios, key=ratios.get)
    verdict = "reached" if ratios[best] <= TARGET else "missed"
    return (
        f"Of what leads the trained run no farther off than {half} do, {name}, {mode}, {precision} is fastest: video and"
        f" dense stream in {ratios[best]:.2f} of the stock pipeline's time (target {TARGET}: {verdict}). A projection: the"
        " hit rate is the trained run's, the time that of random weights of this shape."
    )


if __name__ == "__main__":
    main(sys.argv[1:])
