"""One shard through one labeller: clips are prepared ahead of the model, labels finished and written behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from udpdiff.background import in_background
from udpdiff.clip import RejectedClip
from udpdiff.job_timing import JobTiming
from udpdiff.progress import progress
from udpdiff.storage.failures import Failures
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.video_io import decode_mp4


class LabelledClip(NamedTuple):
    """What is stored of a clip: the datasets of the shard's schema, figures about it, why it is left out if it is."""

    arrays: dict[str, np.ndarray]
    scores: dict[str, float]
    rejected: RejectedClip | None = None


class Steps(NamedTuple):
    """A labeller as three functions, each given what the one before it returned; the first gets uint8 (T, H, W, 3).

    prepare and finish are the processor's work and run in threads of their own, beside the model on other clips.
    """

    prepare: Callable
    model: Callable
    finish: Callable[..., LabelledClip]


def label_shard(schema: str, told: dict, steps: Steps, clips_path: str, labels_path: str, timing: str | None) -> None:
    """Write the shard of labels, going on where a killed job stopped; and to `timing`, if given, how fast it went.

    told: the labeller's settings, `max_failed_share` among them. Raises TooManyFailures.
    """
    with ShardReader(clips_path) as clips:
        attrs = {"settings": told, "clips": clips.sha256}
        failures = Failures(len(clips), told["max_failed_share"])
        with ShardWriter(labels_path, schema, attrs, resume=True) as shard:
            todo = [clip_id for clip_id in clips.clip_ids if clip_id not in shard.done]
            with JobTiming() as clock:
                readings = ((clip_id, partial(_read, clips, clip_id, steps.prepare)) for clip_id in todo)
                with (
                    in_background(readings) as prepared,
                    in_background(_modelled(prepared, steps, shard, failures, clock)) as written,
                ):
                    for clip_id, done in progress(written, schema, total=len(todo)):
                        with failures.caught(clip_id):
                            done.result()
            failures.list_in(shard)
        if timing and todo:
            size = {key: clips.attrs[key] for key in ("num_frames", "height", "width")}
            clock.write(timing, schema, told, size, len(todo))


def _read(clips: ShardReader, clip_id: str, prepare: Callable):
    return prepare(decode_mp4(clips.read(clip_id, "video_mp4")))


def _modelled(prepared, steps: Steps, shard: ShardWriter, failures: Failures, clock: JobTiming) -> Iterator:
    """Run the model in the caller's thread; yields (clip id, the call that finishes and writes the clip)."""
    for clip_id, ready in prepared:
        with failures.caught(clip_id):
            clip = ready.result()
            with clock.labelling():
                outcome = steps.model(clip)
            yield clip_id, partial(_write, shard, clip_id, steps.finish, outcome)


def _write(shard: ShardWriter, clip_id: str, finish: Callable[..., LabelledClip], outcome) -> None:
    labelled = finish(outcome)
    if labelled.rejected:
        shard.reject(clip_id, str(labelled.rejected), labelled.scores)
    else:
        shard.add(clip_id, labelled.arrays, labelled.scores)
