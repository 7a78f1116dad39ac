"""Latents of one shard: its videos, or the colour encodings of a task's labels, through the VAE.

The stream's name is not looked at: what a stream is made of stands in the job.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from concurrent.futures import Future
from functools import partial
from pathlib import Path

import numpy as np

from udpdiff import jobs
from udpdiff.background import in_background
from udpdiff.finite import as_float16, dtype_key
from udpdiff.model.latents import encode_videos
from udpdiff.model.loading import load_vae
from udpdiff.progress import progress
from udpdiff.storage.digests import digest
from udpdiff.storage.failures import Failures
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.tasks import get_task
from udpdiff.timing import JobTiming
from udpdiff.video_io import decode_mp4


def encode_shard(
    job: jobs.EncodeLatents,
    execution: jobs.Execution,
    stream: str,
    source: str | Path,
    latents: str | Path,
    timing: str | Path | None = None,
) -> None:
    """Write the latents of one shard of clips or labels, resuming a stopped one.

    Args:
        stream: Its name, for the shard's attributes.
        source: The shard of clips, or of labels.
        latents: The shard to write: float16 (F, C, h, w) for each clip, (K, F, C, h, w) of K > 1 encodings.
        timing: A json file for how fast it went.

    Raises:
        TooManyFailures: More clips fail than `execution.max_failed_share`.
        NotFinite: The VAE overflows in the job's dtype.
    """
    vae = load_vae(job.base, execution.device, job.dtype)
    attrs = {"stream": stream, "vae": job.base, "scaling_factor": vae.config.scaling_factor}
    with ShardReader(source) as clips:
        attrs |= job.as_attrs() | {"source": clips.sha256}
        failures = Failures(len(clips), execution.max_failed_share)
        with ShardWriter(latents, "latents", attrs, resume=True) as shard, JobTiming() as clock:
            for rejected in clips.rejected:
                if rejected["clip_id"] not in shard.done:
                    shard.reject(rejected["clip_id"], rejected["reason"])
            batches = shard.unfinished(clips.clip_ids, job.batch_clips)
            drawings = ((clip_id, partial(colormaps, job, clips, clip_id)) for ids in batches for clip_id in ids)
            size = None
            with in_background(drawings, job.batch_clips + 1) as drawn:
                for clip_ids in progress(batches, f"batches of {stream} latents"):
                    maps = _succeeded(itertools.islice(drawn, len(clip_ids)), failures)
                    if not maps:
                        continue
                    size = dict(
                        zip(("num_frames", "height", "width"), next(iter(maps.values())).shape[1:4], strict=True)
                    )
                    with clock.labelling(), dtype_key("encoding.vae_dtype"):
                        encoded = encode_videos(vae, np.concatenate(list(maps.values())))
                    encoded = as_float16(encoded, f"latents of {', '.join(maps)}")
                    for clip_id, own in zip(maps, np.split(encoded, len(maps)), strict=True):
                        if clip_id not in shard.done:
                            shard.add(clip_id, {"latents": own[0] if job.encodings == 1 else own})
            failures.list_in(shard)
        if timing and size:
            done = sum(map(len, batches))
            clock.write(timing, f"latents/{stream}", attrs["job"], execution.device, size, done)


def colormaps(job: jobs.EncodeLatents, clips: ShardReader, clip_id: str) -> np.ndarray:
    """Return what the VAE sees of one clip, uint8 (K, T, H, W, 3) of K encodings.

    The colours of a clip are drawn one encoding after the other, decided by the job's seed and the clip's id alone.
    """
    if job.task is None:
        return decode_mp4(clips.read(clip_id, "video_mp4"))[None]
    task = get_task(job.task)
    options = task.Options(**job.options)
    prediction = task.from_labels(clips.read(clip_id, task.dataset), options)
    rng = None if job.seed is None else np.random.default_rng(int(digest([job.seed, clip_id])[:16], 16))
    return np.stack([task.encode(prediction, job.colormap, options, rng) for _ in range(job.encodings)])


def _succeeded(drawn: Iterable[tuple[str, Future[np.ndarray]]], failures: Failures) -> dict[str, np.ndarray]:
    """Return the colormaps by clip, without the clips that failed."""
    maps = {}
    for clip_id, future in drawn:
        with failures.caught(clip_id):
            maps[clip_id] = future.result()
    return maps
