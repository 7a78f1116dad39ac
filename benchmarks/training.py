"""Seconds of a training step, samples per second and peak memory, against what others would run.

Full fine-tuning against a plain loop around diffusers' model; LoRA against the same and, with `--script`, against
diffusers' own training script, unmodified. Every contender is built, warmed up, timed and dropped in turn, so that its
peak memory is its own; with `--resident` all stay and take turns step by step, which a busy machine asks for. The rows between the first and the last say what the difference comes from: the widened
network, or the trainer around it.
"""

from __future__ import annotations

import argparse
import gc
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch

from benchmarks import clock, shapes
from benchmarks.diffusers_script import time_script, write_base, write_videos
from benchmarks.pairing import Timing, median, ratio, take_turns
from benchmarks.results import results_path, table, write_results
from benchmarks.trainers import Recipe, Step, plain_loop, stepper
from udpdiff.default_device import default_device
from udpdiff.planning.counted_work import transformer_flops
from udpdiff.planning.devices import DEVICES
from udpdiff.timing import timed

STEP, PEAK = "step", "peak_gpu_gb"
PLAIN, WIDENED, OURS, SCRIPT = (
    "plain loop, diffusers' model",
    "plain loop, widened model",
    "this project's step, widened model",
    "diffusers' script",
)
_WARM_UP_STEPS = 2
_DTYPES = {"no": "float32", "bf16": "bfloat16", "fp16": "float16"}
# Passes' work that a step needs: forward, through the activations, and to the weights, which LoRA leaves out but for its
# own. What checkpointing computes twice is no progress and does not count.
_PASSES = {"full": 3, "lora": 2}


def main(arguments: Sequence[str]) -> None:
    options = parse(arguments)
    shape = shapes.SHAPES[options.shape]
    rank = options.rank if options.method == "lora" else None
    recipe = Recipe(shape, options.device, rank, options.batch_size, options.mixed_precision, not options.keep_all)
    with tempfile.TemporaryDirectory(dir=options.scratch) as folder:
        timings = take_turns(contenders(recipe, options, Path(folder)), options.repeats)
    flops = transformer_flops(shape.base, shape.num_frames, shape.height, shape.width)
    step_flops = _PASSES[options.method] * options.batch_size * flops
    reference = SCRIPT if SCRIPT in timings else PLAIN
    rows = [row(name, own, timings[reference], options, step_flops) for name, own in timings.items()]
    method = f"LoRA of rank {rank}" if rank else "full fine-tuning"
    write_results(
        options.output or results_path(f"training-{options.method}", options.shape),
        "benchmarks.training",
        f"A step of training, {method}: shape {options.shape}",
        [
            f"Random weights and samples, {shape.num_frames} x {shape.height} x {shape.width}, batch {options.batch_size},"
            f" {options.mixed_precision}, gradient checkpointing {'off' if options.keep_all else 'on'}; {options.repeats} rounds of"
            f" {'one step' if options.resident else f'{options.steps} steps'} each. A step's work: {step_flops / 1e12:.3g} TFLOP,"
            f" {_PASSES[options.method]} forward passes' of the base.",
            table(rows),
            what_differs(timings, reference),
        ],
        arguments,
    )


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.training", description=__doc__)
    parser.add_argument("--method", choices=_PASSES, required=True)
    parser.add_argument("--shape", choices=shapes.SHAPES, default="mini")
    parser.add_argument("--device", default=default_device())
    parser.add_argument("--mixed-precision", choices=_DTYPES, default="bf16")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--rank", type=int, default=64, help="of LoRA")
    parser.add_argument("--keep-all", action="store_true", help="no gradient checkpointing")
    parser.add_argument("--steps", type=int, default=10, help="timed steps of each contender in a round")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--resident", action="store_true", help="keep all in memory; a round is one step of each")
    parser.add_argument("--script", type=Path, help="diffusers' examples/cogvideo/train_cogvideox_lora.py, for LoRA")
    parser.add_argument("--scratch", type=Path, help="where a base for the script is written; 5b takes 21 GB")
    parser.add_argument("--gpu", choices=DEVICES, help="the GPU that runs it, for the share of its peak")
    clock.add_option(parser)
    parser.add_argument("--output", type=Path, help="by default beside this file")
    options = parser.parse_args(arguments)
    if options.script and options.method != "lora":
        parser.error("--script: diffusers has none for full fine-tuning; name --method lora")
    if options.script and not options.script.is_file():
        parser.error(f"--script: got {options.script}, which is no file; fetch it from huggingface/diffusers")
    return options


def contenders(recipe: Recipe, options: argparse.Namespace, folder: Path) -> dict[str, Callable[[int], Timing]]:
    """Return a function of the round for each contender."""
    builders: dict[str, Callable[[], Step]] = {
        PLAIN: lambda: plain_loop(recipe, widened=False),
        WIDENED: lambda: plain_loop(recipe, widened=True),
        OURS: lambda: stepper(recipe),
    }
    if options.resident:
        found = {name: _in_turn(build(), recipe.device) for name, build in builders.items()}
    else:
        found = {name: _in_block(build, recipe.device, options.steps) for name, build in builders.items()}
    if not options.script:
        return found
    base, videos = write_base(recipe, options.shape, folder), write_videos(recipe, folder)

    def run(turn: int) -> Timing:
        record = time_script(options.script, recipe, base, videos, folder, options.steps)
        return {STEP: median(record["step_seconds"]).median, PEAK: record["peak_gpu_gb"]}

    return {SCRIPT: run} | found


def _in_turn(step: Step, device: str) -> Callable[[int], Timing]:
    return lambda turn: {STEP: _seconds(step, device), PEAK: None}


def _in_block(build: Callable[[], Step], device: str, steps: int) -> Callable[[int], Timing]:
    """Return what builds a contender, times its steps and drops it; without times where memory does not suffice."""
    on_gpu = torch.device(device).type == "cuda"

    def run(turn: int) -> Timing:
        if on_gpu:
            torch.cuda.reset_peak_memory_stats(device)
        try:
            seconds = _time(build(), device, steps)
        except torch.OutOfMemoryError:
            seconds = None
        peak = torch.cuda.max_memory_allocated(device) / 1e9 if on_gpu else None
        gc.collect()
        if on_gpu:
            torch.cuda.empty_cache()
        return {PEAK: peak} | ({STEP: seconds} if seconds else {})

    return run


def _time(step: Step, device: str, steps: int) -> float:
    seconds = [_seconds(step, device) for _ in range(_WARM_UP_STEPS + steps)]
    return median(seconds[_WARM_UP_STEPS:]).median


def _seconds(step: Step, device: str) -> float:
    own: dict[str, float] = {}
    with timed(own, STEP, torch.device(device)):
        step()
    return own[STEP]


def row(
    name: str, own: Sequence[Timing], reference: Sequence[Timing], options: argparse.Namespace, flops: float
) -> dict[str, object]:
    """Return the row of one contender."""
    peaks = [timing[PEAK] for timing in own if timing[PEAK] is not None]
    peak = f"{max(peaks):.1f}" if peaks else None
    if any(STEP not in timing for timing in own):
        return (
            {"training": name, "seconds a step": "out of memory"}
            | dict.fromkeys(_COLUMNS)
            | {"peak GPU memory, GB": peak}
        )
    seconds = median([timing[STEP] for timing in own])
    whole = all(STEP in timing for timing in reference)
    peak_flops = DEVICES[options.gpu].peak_flops(_DTYPES[options.mixed_precision]) if options.gpu else None
    share = peak_flops and flops / seconds.median / peak_flops
    values = (
        f"{options.batch_size / seconds.median:.3g}",
        ratio(own, reference, STEP) if whole else None,
        f"{share:.1%}" if share else None,
        peak,
    )
    return {"training": name, "seconds a step": seconds} | dict(zip(_COLUMNS, values, strict=True))


_COLUMNS = ("samples a second", "ratio to the first", "share of the peak FLOP/s", "peak GPU memory, GB")


def what_differs(timings: Mapping[str, Sequence[Timing]], reference: str) -> str:
    """Return in words how much of the difference is the network's and how much the trainer's."""
    if any(STEP not in timing for own in timings.values() for timing in own):
        return "Where a contender does not fit, nothing is said of the difference."
    network = ratio(timings[WIDENED], timings[PLAIN], STEP)
    trainer = ratio(timings[OURS], timings[WIDENED], STEP)
    text = (
        f"What the difference comes from: the widened network takes {network} of the base's time in the same loop; this"
        f" project's step takes {trainer} of the plain loop's on the same network."
    )
    if reference == SCRIPT:
        loop = ratio(timings[PLAIN], timings[SCRIPT], STEP)
        text += f" The plain loop takes {loop} of the script's time, which runs the text encoder in every step."
    return text


if __name__ == "__main__":
    main(sys.argv[1:])
