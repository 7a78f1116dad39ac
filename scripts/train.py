"""Trains one run, or continues it from its checkpoints, and exports it as a diffusers folder.

Exit code 75 means that a warning signal came and a checkpoint was saved: start again to go on.
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from pathlib import Path

import torch

from udpdiff import jobs
from udpdiff.default_device import default_device
from udpdiff.model.live_text import LivePrompts
from udpdiff.model.precision import warn_of_slow_bfloat16
from udpdiff.quiet_libraries import leave_out_loading_bars
from udpdiff.storage.dataset import LatentSource
from udpdiff.training.card import data_words
from udpdiff.training.loop import train
from udpdiff.training.settings import TrainingSettings


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", required=True, type=jobs.Train.parse)
    parser.add_argument("--execution", required=True, type=jobs.Execution.parse)
    parser.add_argument("--state", required=True, help="folder of checkpoints, log and lock; outlives failures")
    parser.add_argument("--latents", required=True, nargs="+", type=Path, help="shards STREAM/SPLIT/SHARD.h5")
    parser.add_argument("--captions", nargs="*", default=[], help="tables, where the job has prompts encoded here")
    parser.add_argument("--output", required=True)
    arguments = parser.parse_args()
    leave_out_loading_bars()
    job, device = arguments.job, arguments.execution.device or default_device()

    settings = TrainingSettings.from_job(job, arguments.execution.training[job.run])
    if settings.mixed_precision == "bf16" and device == "cpu":
        warn_of_slow_bfloat16("training.mixed_precision", '"no"')
    source = latent_source(job, arguments.latents, arguments.captions, own_device(device))
    data = data_words(job.data) if job.data else ""
    train(settings, source, arguments.state, arguments.output, cpu=device == "cpu", data=data)


def own_device(device: str) -> str:
    """Return this process's GPU of several; with one process, the device itself."""
    if device != "cuda" or "LOCAL_RANK" not in os.environ:
        return device
    # A site may show each process its own GPU alone.
    return f"cuda:{int(os.environ['LOCAL_RANK']) % torch.cuda.device_count()}"


def latent_source(job: jobs.Train, latents: list[Path], captions: list[str], device: str) -> LatentSource:
    """Return the clips of a run, each shard in the role of its folder; one folder may have several roles.

    Prompts are read like latents, or encoded on this device where the job says so.
    """
    streams = job.streams
    shards: dict[str, list[Path]] = defaultdict(list)
    for path in latents:
        shards[path.parts[-3]].append(path)
    text = {style: shards[name] for style, name in streams.text.items()}
    if job.text_dtype:
        live = LivePrompts(captions, job.model.base, job.text_dtype, device)
        text = {style: live.style(style) for style in streams.text}
    return LatentSource(
        video=shards[streams.video],
        dense={task: shards[name] for task, name in streams.dense.items()},
        text=text,
    )


if __name__ == "__main__":
    main()
