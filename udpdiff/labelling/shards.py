"""One shard through one labeller: clips are prepared while the model is busy with others, labels finished and written."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from udpdiff.background import in_background
from udpdiff.checkpoints import hub
from udpdiff.clip import RejectedClip
from udpdiff.config.labels import (
    DepthAnythingEstimator,
    DepthCrafterEstimator,
    EntitySegmenter,
    PointGrid,
    Tracker,
)
from udpdiff.figure_record import BEHIND, Made, Network, networks_of
from udpdiff.jobs import EstimateDepth, Execution, SegmentEntities
from udpdiff.progress import progress
from udpdiff.storage.coarse_values import coarse_attrs
from udpdiff.storage.failures import Failures
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.timing import JobTiming
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


def parse_command(description: str, job: type[SegmentEntities | EstimateDepth], labels: str) -> Namespace:
    """Return the command line of a labelling script: job, execution, clips, summary, mean, timing, and `labels` by its option."""
    parser = ArgumentParser(description=description)
    parser.add_argument("--job", required=True, type=job.parse)
    parser.add_argument("--execution", required=True, type=Execution.parse)
    parser.add_argument("--clips", required=True)
    parser.add_argument(f"--{labels}", required=True, dest="labels")
    parser.add_argument("--summary", required=True)
    parser.add_argument("--mean", help="the labels' mean, of those of depth; it stays where they do not")
    parser.add_argument("--timing", help="json file: how fast it went")
    return parser.parse_args()


def label_shard(
    schema: str,
    job: SegmentEntities | EstimateDepth,
    execution: Execution,
    steps: Steps,
    clips_path: str | Path,
    labels_path: str | Path,
    timing_path: str | Path | None = None,
) -> None:
    """Write the shard of labels of a shard of clips, going on where a job that was stopped left off.

    Args:
        schema: Of the labels' shard.
        job: What the labels depend on, kept in the shard.
        execution: Device and share of clips that may fail.
        steps: The labeller.
        clips_path: Of the clips, from any source, generated ones too.
        labels_path: Of the labels.
        timing_path: Of a record of how fast it went; None for none.

    Raises:
        TooManyFailures: More clips fail than may.
        StorageError: A shard is damaged or cannot be written.
    """
    with ShardReader(clips_path) as clips:
        failures = Failures(len(clips), execution.max_failed_share)
        made = Made.of(clips.attrs, networks_behind(job))
        attrs = job.as_attrs() | {"clips": clips.sha256, BEHIND: made.model_dump(mode="json")}
        if isinstance(job, EstimateDepth):
            attrs |= coarse_attrs(job.bits)
        with ShardWriter(labels_path, schema, attrs, resume=True) as shard:
            remaining = [clip_id for clip_id in clips.clip_ids if clip_id not in shard.done]
            with JobTiming() as clock:
                readings = ((clip_id, partial(_read, clips, clip_id, steps.prepare)) for clip_id in remaining)
                with (
                    in_background(readings) as prepared,
                    in_background(_modelled(prepared, steps, shard, failures, clock)) as written,
                ):
                    for clip_id, done in progress(written, schema, total=len(remaining)):
                        with failures.caught(clip_id):
                            done.result()
            failures.list_in(shard)
        if timing_path and remaining:
            size = {key: clips.attrs[key] for key in ("num_frames", "height", "width")}
            clock.write(timing_path, schema, attrs["job"], execution.device, size, len(remaining))


def networks_behind(job: SegmentEntities | EstimateDepth) -> dict[str, Network]:
    """Return the networks that a labeller's labels depend on, by role."""
    if isinstance(job, SegmentEntities):
        return entity_networks(job.labeller, job.tracker)
    return depth_networks(job.labeller)


def entity_networks(labeller: EntitySegmenter | PointGrid, tracker: Tracker) -> dict[str, Network]:
    """Return those of a labeller of entities, by role."""
    references = {"segmenter": getattr(labeller, "segmenter", None), "tracker": tracker.checkpoint}
    return networks_of(references, {"tracker": hub.SAM2})


def depth_networks(labeller: DepthAnythingEstimator | DepthCrafterEstimator) -> dict[str, Network]:
    """Return those of an estimator of depth, by role."""
    references = {"estimator": labeller.checkpoint, "base": getattr(labeller, "base", None)}
    whole = labeller.model == "depthcrafter" and not references["base"]
    parts = {"base": hub.STABLE_VIDEO} | ({"estimator": ("unet", *hub.STABLE_VIDEO)} if whole else {})
    return networks_of(references, parts)


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
