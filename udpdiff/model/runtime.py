"""Seconds of sampling calls of several runs, in turns, so that all meet the same machine (table 4)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from udpdiff import jobs
from udpdiff.model.loading import default_device, load_run
from udpdiff.model.sampling import call_options
from udpdiff.model.streams import VIDEO
from udpdiff.progress import progress
from udpdiff.timing import timed_parts

if TYPE_CHECKING:
    from diffusers import CogVideoXPipeline

PROMPT = "A red ball rolls to the right on a grey floor."


def time_runs(
    job: jobs.MeasureRuntime, execution: jobs.Execution, folders: Sequence[str | Path]
) -> list[list[dict[str, float]]]:
    """Return the timings of `job.repeats` calls of each run, after one that loads and warms up and is left out.

    Args:
        folders: Of the exported runs, in the order of `job.runs`.
    """
    device = execution.device or default_device()
    pipelines = [load_run(folder, getattr(torch, job.dtype), device, execution.offload) for folder in folders]
    timings: list[list[dict[str, float]]] = [[] for _ in pipelines]
    for round_number in progress(range(job.repeats + 1), "rounds of timing"):
        for (_, task), pipeline, own in zip(job.runs, pipelines, timings, strict=True):
            timing = time_call(pipeline, task, job, seed=round_number)
            if round_number:
                own.append(timing)
    return timings


def time_call(pipeline: CogVideoXPipeline, task: str, job: jobs.MeasureRuntime, seed: int) -> dict[str, float]:
    """Return the seconds of one call and of its parts, without decoding a prediction from its colormap."""
    pipeline.set_progress_bar_config(disable=True)
    options = call_options(pipeline, job, task) | ({} if task == VIDEO else {"decode_prediction": False})
    generator = torch.Generator().manual_seed(seed)
    with timed_parts(pipeline) as timings:
        start = time.perf_counter()
        pipeline(prompt=PROMPT, generator=generator, **options)
        timings["total"] = time.perf_counter() - start
    return timings
