"""What the dense stream costs: base, single-task and multi-task pipelines in turns, with random weights.

Each part of a call as a ratio to the base's in the same round. The paper has whole calls: 204.46 s for CogVideoX-5B,
205.75 s for a single-task model (1.0063), 205.81 s for the multi-task one (table 4, one A100).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import clock, shapes
from benchmarks.pairing import median, ratio, take_turns
from benchmarks.results import results_path, table, write_results
from udpdiff import jobs
from udpdiff.default_device import default_device
from udpdiff.model.runtime import time_call
from udpdiff.model.streams import VIDEO

PARTS = {
    "transformer": "denoising",
    "text_encoder": "text encoder",
    "vae": "decoding, all streams",
    "total": "whole call",
}
PAPER = {("single-task", "total"): 1.0063, ("multi-task", "total"): 1.0066}


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.pipelines", description=__doc__)
    parser.add_argument("--shape", choices=shapes.SHAPES, default="mini")
    parser.add_argument("--device", default=default_device())
    parser.add_argument("--dtype", choices=shapes.DTYPES, default="bfloat16")
    parser.add_argument("--steps", type=int, default=10, help="denoising steps of a call; 50 in the paper")
    parser.add_argument("--guidance-scale", type=float, default=6.0)
    parser.add_argument("--repeats", type=int, default=5, help="rounds, after one that warms up")
    clock.add_option(parser)
    parser.add_argument("--output", type=Path, help="by default beside this file")
    options = parser.parse_args(arguments)

    timings = take_turns(contenders(options), options.repeats)
    rows = [
        {
            "part": words,
            "pipeline": name,
            "seconds": median([timing[part] for timing in own]),
            "ratio to the base": None if name == "base" else ratio(own, timings["base"], part),
            "the paper's": PAPER.get((name, part)),
        }
        for part, words in PARTS.items()
        for name, own in timings.items()
    ]
    shape = shapes.SHAPES[options.shape]
    size = f"{shape.num_frames} x {shape.height} x {shape.width}, {options.steps} steps with guidance, {options.dtype}"
    write_results(
        options.output or results_path("pipelines", options.shape),
        "benchmarks.pipelines",
        f"What the dense stream costs: shape {options.shape}",
        [f"Random weights, {size}, {options.repeats} rounds.", table(rows)],
        arguments,
    )


def contenders(options: argparse.Namespace) -> dict[str, Callable[[int], dict[str, float]]]:
    """Return a function of the round for each pipeline, which share all parts but the transformer."""
    shape, place = shapes.SHAPES[options.shape], (options.device, options.dtype)
    parts = shapes.components(shape, *place)
    pipelines = {
        "base": (VIDEO, shapes.stock_pipeline(parts, shapes.base_transformer(shape, *place))),
        "single-task": ("depth", shapes.our_pipeline(parts, shapes.widened_transformer(shape, 0, *place))),
        "multi-task": ("depth", shapes.our_pipeline(parts, shapes.widened_transformer(shape, 2, *place))),
    }
    job = jobs.MeasureRuntime(
        runs=tuple((name, task) for name, (task, _) in pipelines.items()),
        seed=0,
        repeats=options.repeats,
        num_inference_steps=options.steps,
        guidance_scale=options.guidance_scale,
        dtype=options.dtype,
        size=shape.clip_size,
    )

    def call(task: str, pipeline) -> Callable[[int], dict[str, float]]:
        return lambda turn: time_call(pipeline, task, job, seed=turn)

    return {name: call(task, pipeline) for name, (task, pipeline) in pipelines.items()}


if __name__ == "__main__":
    main(sys.argv[1:])
