"""Prints what a scale costs before it runs: jobs, hours, money, memory, disk and downloads, each figure with its source.

python -m scripts.plan --preset paper --device a100-80g --gpus 8 --price-per-gpu-hour 2.0
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from snakemake.utils import update_config

from udpdiff import config_files
from udpdiff.config_layers import anchor_paths, check_one_preset, preset_file
from udpdiff.config_parsing import parse
from udpdiff.planning.answers import describe
from udpdiff.user_values import missing_values
from udpdiff.workflow import Workflow

_ROOT = Path(__file__).parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=json.loads, help="json: a whole configuration, as the workflow has it")
    parser.add_argument("--preset", help="a scale in presets/; without one the mini scale")
    parser.add_argument("--configfile", action="append", default=[], type=Path, help="merged over it; may be repeated")
    parser.add_argument("--device", help="a GPU of udpdiff/planning/devices.py, such as a100-80g, h100 or rtx4090")
    parser.add_argument("--gpus", type=int, help="at hand, and of one training")
    parser.add_argument("--price-per-gpu-hour", type=float)
    parser.add_argument("--results", default="results")
    parser.add_argument("--benchmarks", default="benchmarks")
    arguments = parser.parse_args()

    raw = arguments.config or layered(arguments.preset, arguments.configfile)
    told = {"gpu": arguments.device, "gpus": arguments.gpus, "gpu_price": arguments.price_per_gpu_hour}
    config = parse(raw | {name: value for name, value in told.items() if value is not None})
    workflow = Workflow(config, missing_values(config))
    print(f"\n{describe(workflow, arguments.results, arguments.benchmarks)}\n")


def layered(preset: str | None, files: list[Path]) -> dict:
    """Return config.yaml with a preset and further files merged over it, as Snakemake merges them.

    Raises:
        ConfigError: There is no such preset.
    """
    given = [config_files.read(file) for file in files]
    named = preset or next((each["preset"] for each in reversed(given) if each.get("preset")), None)
    raw = config_files.read(_ROOT / "config.yaml") | {"preset": named}
    chosen = preset_file(raw, _ROOT / "presets")
    for each in ([config_files.read(Path(chosen))] if chosen else []) + given:
        update_config(raw, each)
    raw["preset"] = named
    check_one_preset(raw, files)
    anchor_paths(raw, files)
    return raw


if __name__ == "__main__":
    try:
        main()
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"The configuration cannot be planned:\n{error}")
