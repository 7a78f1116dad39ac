"""Generated videos of one shard of prompts, as clips like any other, and the dense predictions that came with them.

The noise of prompt number i comes from seed + i for every model, so that models are compared on equal noise.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from udpdiff import jobs
from udpdiff.checkpoints import hub
from udpdiff.default_device import default_device
from udpdiff.finite import check_finite, dtype_key
from udpdiff.model.acceleration import accelerate
from udpdiff.model.base_parts import RUN_RECIPE
from udpdiff.model.checked_pipeline import CheckedPipeline
from udpdiff.model.loading import load_run
from udpdiff.model.precision import warn_of_slow_bfloat16
from udpdiff.model.streams import VIDEO
from udpdiff.progress import progress
from udpdiff.storage.captions import read_captions
from udpdiff.storage.coarse_values import coarse_attrs
from udpdiff.storage.digests import digest
from udpdiff.storage.sealed import check_folder
from udpdiff.storage.shards import ShardWriter
from udpdiff.tasks import get_task
from udpdiff.video_io import encode_mp4


def sample_shard(
    job: jobs.Sample,
    execution: jobs.Execution,
    run: str | Path,
    captions: Sequence[str | Path],
    clips: str | Path,
    predictions: str | Path | None = None,
) -> None:
    """Write the videos of one shard of prompts, and the dense predictions, resuming a stopped job; a batch in memory.

    Args:
        run: Folder of the exported run.
        captions: Tables of all evaluation captions, in order; the job numbers the prompts over all of them.
        clips: The shard of schema `clips` to write.
        predictions: The shard of schema `predictions` to write; None for a run without a dense stream.

    Raises:
        NotFinite: A network overflows in the job's dtype.
        ValueError: There is no prompt at all.
    """
    prompts = _prompts(job, captions)
    device = execution.device or default_device()
    if job.dtype == "bfloat16" and device == "cpu":
        warn_of_slow_bfloat16("sampling.dtype", '"float32"')
    pipeline = load_run(run, getattr(torch, job.dtype), device, execution.offload)
    pipeline.set_progress_bar_config(disable=True)
    if job.acceleration:
        options = call_options(pipeline, job, job.task)
        with dtype_key("sampling.dtype"):
            accelerate(pipeline, job.acceleration, job.acceleration_threshold, options)
    attrs = {"run": job.run, "task": job.task, "fps": job.size.fps, **job.as_attrs()}
    attrs |= {"prompts": digest(list(prompts.items())), "weights": _weights_digest(Path(run))}
    recipe = Path(run) / RUN_RECIPE
    if commits := hub.commits(json.loads(recipe.read_text(encoding="utf-8")) if recipe.is_file() else {}):
        attrs["checkpoints"] = commits  # of the base, whose other parts it samples with
    size = job.size.model_dump(include={"height", "width", "num_frames"})
    with ExitStack() as stack:
        writers = [stack.enter_context(ShardWriter(clips, "clips", attrs | size | {"source": "samples"}, resume=True))]
        if predictions:
            attrs |= coarse_attrs(job.prediction_bits)
            writers.append(stack.enter_context(ShardWriter(predictions, "predictions", attrs, resume=True)))
        finished = set.intersection(*(writer.done for writer in writers))
        ids = list(prompts)
        batches = [range(first, min(first + job.batch_size, len(ids))) for first in range(0, len(ids), job.batch_size)]
        batches = [batch for batch in batches if not finished.issuperset(ids[index] for index in batch)]
        for batch in progress(batches, f"{job.run}: batches of {job.task} samples"):
            texts = [prompts[ids[index]] for index in batch]
            seeds = [job.seed + job.first + index for index in batch]
            for index, rows in zip(batch, generate(pipeline, texts, seeds, job), strict=True):
                for writer, row in zip(writers, rows, strict=True):
                    if ids[index] not in writer.done:
                        writer.add(ids[index], row)
        # Of a job that ends with one of its shards in place, Snakemake removes that one, and all would be made again.
        for writer in writers:
            writer.sync()


def _prompts(job: jobs.Sample, captions: Sequence[str | Path]) -> dict[str, str]:
    """Clip id -> prompt of this shard; a later one may get none, for clips were counted before captions were rejected."""
    numbered = list(islice(read_captions(list(captions)).items(), job.first, job.first + job.count))
    if not numbered and job.first == 0:
        raise ValueError(
            "sampling.prompts: got no caption of the evaluation split, expected at least one: its clips or their captions were "
            "all rejected, with the reasons on the data set's page (target show_labels). Change labels.captions, or add videos."
        )
    text = "prompt" if job.caption == "detailed" else job.caption  # the source's words, whatever a captioner saw
    return {clip_id: texts[text] for clip_id, texts in numbered}


def generate(
    pipeline: CheckedPipeline, prompts: list[str], seeds: list[int], job: jobs.Sample
) -> Iterator[tuple[dict[str, Any], ...]]:
    """Yield the rows of each prompt: of schema `clips`, and of schema `predictions` where the job has a dense task."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    options = call_options(pipeline, job, job.task)
    if job.task == VIDEO:  # our own pipeline checks its steps by itself
        options["callback_on_step_end"] = CheckedPipeline.check_step
    with dtype_key("sampling.dtype"):
        output = pipeline(prompt=prompts, generator=generators, **options)
    for index, prompt in enumerate(prompts):
        clip = {"video_mp4": _encode(output.frames[index], job), "brief": prompt, "detailed": prompt}
        clip |= {"source_id": job.run, "source_sha256": "", "record_sha256": ""}
        if job.task == VIDEO:
            yield (clip,)
            continue
        prediction = get_task(job.task).to_storage(output.prediction[index])
        dense = _encode(output.dense_frames[index], job)
        yield clip, {"dense_mp4": dense, "prediction": prediction, "prompt": prompt}


def call_options(pipeline: CheckedPipeline, job: jobs.Sample | jobs.MeasureRuntime, task: str) -> dict[str, Any]:
    """Return the arguments of a call that are the same for every prompt; task: `video` for none."""
    options = job.size.model_dump(include={"height", "width", "num_frames"})
    options |= {"num_inference_steps": job.num_inference_steps, "guidance_scale": job.guidance_scale}
    options |= {"output_type": "np", "max_sequence_length": pipeline.transformer.config.max_text_seq_length}
    return options if task == VIDEO else options | {"task": task}


def _encode(frames: np.ndarray, job: jobs.Sample) -> bytes:
    """Return frames float [0, 1] (T, H, W, 3) as video."""
    check_finite(frames, "the frames", job.dtype, "sampling.dtype")
    return encode_mp4(np.rint(frames * 255).astype(np.uint8), job.size.fps, lossless=job.codec == "lossless")


def _weights_digest(run: Path) -> str:
    """Return the sha256 (hex) of a run's transformer, so that a stopped job goes on with the same network alone."""
    files = sorted(check_folder(run, ["transformer"]).items())
    weights = [bytes.fromhex(sha256) for name, sha256 in files if name.endswith(".safetensors")]
    return hashlib.sha256(b"".join(weights)).hexdigest()
