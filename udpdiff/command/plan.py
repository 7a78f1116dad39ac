"""`udpdiff plan`: what a scale costs before it runs: jobs, hours, money, memory, disk and downloads, each with its source."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from udpdiff.planning.devices import DEVICES, find_device

SMALL_PRESET = "one_gpu"  # named where a scale does not fit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "udpdiff plan --preset paper --device a100-80g --gpus 8 --price-per-gpu-hour 2.0"
    parser.add_argument("--config", type=_configuration, help="json: a whole configuration, as the workflow has it")
    parser.add_argument("--preset", help="a scale in presets/; without one the mini scale")
    parser.add_argument("--configfile", action="append", default=[], type=Path, help="merged over it; may be repeated")
    parser.add_argument("--device", type=_gpu, help=f"a GPU: {', '.join(DEVICES)}")
    parser.add_argument("--gpus", type=int, help="at hand, and of one training")
    parser.add_argument("--price-per-gpu-hour", type=float)
    parser.add_argument(
        "--results", default="results", help="its results, where finished shards tell their size (default results)"
    )
    parser.add_argument(
        "--benchmarks",
        default="benchmarks",
        help="its benchmarks, where finished jobs tell their speed (default benchmarks)",
    )


def run(arguments: argparse.Namespace) -> None:
    from udpdiff.command.configuration import layered
    from udpdiff.config.parsing import parse
    from udpdiff.planning.answers import DEFAULT_DEVICE, cpu_will_do, describe
    from udpdiff.workflow.user_values import missing_values
    from udpdiff.workflow.workflow import Workflow

    raw = arguments.config or layered(arguments.preset, arguments.configfile)
    overrides = {"gpu": arguments.device, "gpus": arguments.gpus, "gpu_price": arguments.price_per_gpu_hour}
    config = parse(raw | {name: value for name, value in overrides.items() if value is not None})
    if not cpu_will_do(config):
        find_device(config.gpu or DEFAULT_DEVICE)  # refused before anyone waits for the count
        print(
            "Counting what the networks compute on a clip: a quarter of a minute, longer where other work runs.",
            file=sys.stderr,
            flush=True,
        )
    workflow = Workflow(config, missing_values(config))
    smaller = parse(layered(SMALL_PRESET, []))
    print(f"\n{describe(workflow, arguments.results, arguments.benchmarks, smaller)}\n")


def _gpu(name: str) -> str:
    """Return the name of a GPU; for argparse."""
    if name not in DEVICES:
        raise argparse.ArgumentTypeError(f"got {name!r}; allowed: {', '.join(DEVICES)}")
    return name


def _configuration(text: str) -> dict:
    """Parse json; for argparse."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"got {text[:80]!r}, which is no json ({error})") from error
