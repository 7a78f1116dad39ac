"""Seconds of sampling calls of several runs, in turns, so that all meet the same machine (table 4).

Runs take turns call by call, so that a machine that grows slower or faster meets all of them alike, and each round is a
pair. On a GPU one transformer is there at a time, for three of the 5B beside text encoder and VAE leave no room to decode:
it comes from the host before each of its calls and goes after, outside the time that is taken. Every call of every run
so begins alike, with weights that have just arrived and memory that is free; what is timed is a call, not a load.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from udpdiff import jobs
from udpdiff.checkpoints import weights_sha256
from udpdiff.default_device import default_device
from udpdiff.figure_record import Network
from udpdiff.model.acceleration import MEASURED_PROMPT
from udpdiff.model.base_parts import RUN_RECIPE, base_folder, base_of
from udpdiff.model.loading import load_run
from udpdiff.model.sampling import call_options
from udpdiff.model.streams import VIDEO
from udpdiff.progress import progress
from udpdiff.timing import timed_parts

if TYPE_CHECKING:
    from diffusers import CogVideoXPipeline


def time_runs(
    job: jobs.MeasureRuntime, execution: jobs.Execution, folders: Sequence[str | Path]
) -> list[list[dict[str, float]]]:
    """Return the timings of `job.repeats` calls of each run, after one that loads and warms up and is left out.

    Args:
        folders: Of the exported runs, in the order of `job.runs`.
    """
    device = execution.device or default_device()
    in_turns = torch.device(device).type != "cpu" and not execution.offload
    place, shared = "cpu" if in_turns else device, {}
    pipelines = [load_run(folder, getattr(torch, job.dtype), place, execution.offload, shared) for folder in folders]
    timings: list[list[dict[str, float]]] = [[] for _ in pipelines]
    for round_number in progress(range(job.repeats + 1), "rounds of timing"):
        for (_, task), pipeline, own in zip(job.runs, pipelines, timings, strict=True):
            with _on_device(pipeline, device) if in_turns else nullcontext():
                timing = time_call(pipeline, task, job, seed=round_number)
            if round_number:
                own.append(timing)
    return timings


def networks_of_run(folder: str | Path) -> dict[str, Network]:
    """Return the networks of an exported run, by role: its own transformer, and what it leaves to its base."""
    recipe = json.loads((Path(folder) / RUN_RECIPE).read_text(encoding="utf-8"))
    found = {}
    for role in ("text_encoder", "transformer", "vae"):
        own = Path(folder) / role
        name = Path(folder).name if own.is_dir() else recipe["base"]
        place = own if own.is_dir() else Path(base_folder(base_of(recipe), whole=True)) / role
        found[role] = Network(name=name, sha256=weights_sha256(str(place)))
    return found


@contextmanager
def _on_device(pipeline: CogVideoXPipeline, device: str) -> Iterator[None]:
    """Put a pipeline on a device; afterwards its transformer is back on the host, and its memory free for the next."""
    pipeline.to(device)
    yield
    pipeline.transformer.to("cpu")
    torch.cuda.empty_cache()


def time_call(pipeline: CogVideoXPipeline, task: str, job: jobs.MeasureRuntime, seed: int) -> dict[str, float]:
    """Return the seconds of one call and of its parts, without decoding a prediction from its colormap."""
    pipeline.set_progress_bar_config(disable=True)
    options = call_options(pipeline, job, task) | ({} if task == VIDEO else {"decode_prediction": False})
    generator = torch.Generator().manual_seed(seed)
    with timed_parts(pipeline) as timings:
        start = time.perf_counter()
        pipeline(prompt=MEASURED_PROMPT, generator=generator, **options)
        timings["total"] = time.perf_counter() - start
    return timings
