"""Trains one run, or continues it from its checkpoints, and exports it as a diffusers folder.

Exit code 75 means that a warning signal came and a checkpoint was saved: start again to go on.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path

from udpdiff.model.latents import default_device
from udpdiff.model.precision import warn_of_slow_bfloat16
from udpdiff.storage.dataset import LatentSource
from udpdiff.training.loop import train
from udpdiff.training.settings import TrainingSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, help="json: a TrainingSettings")
    parser.add_argument("--streams", required=True, type=json.loads, help="json: role -> stream name")
    parser.add_argument("--latents", required=True, nargs="+", type=Path, help="shards STREAM/SPLIT/SHARD.h5")
    parser.add_argument("--state", required=True, help="folder of checkpoints, log and lock; outlives failures")
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()

    shards: dict[str, list[Path]] = defaultdict(list)
    for path in arguments.latents:
        shards[path.parts[-3]].append(path)
    settings = TrainingSettings.from_dict(arguments.settings)
    if settings.mixed_precision == "bf16" and default_device() == "cpu":
        warn_of_slow_bfloat16("training.mixed_precision", '"no"')
    roles = arguments.streams
    source = LatentSource(
        video=shards[roles["video"]],
        dense={task: shards[stream] for task, stream in roles["dense"].items()},
        text={style: shards[stream] for style, stream in roles["text"].items()},
    )
    train(settings, source, arguments.state, arguments.output)


if __name__ == "__main__":
    main()
