"""Compares predictions with references of the same clips, clip by clip, by what their task measures.

Three uses: labels against exact truth, round trips of labels through a colormap and the VAE, and what a model generated
beside its videos against labels of those videos. Every one goes through its shards with one clip, or one batch, in
memory. What the figures of all clips say together is in `evaluate`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from udpdiff.figure_record import BEHIND, Made, Network
from udpdiff.jobs import CompareSamples
from udpdiff.measures.optical_flow import FLOW_METHOD
from udpdiff.metrics.compared import Compared, labelled
from udpdiff.progress import progress
from udpdiff.storage.digests import digest, value_digest
from udpdiff.storage.means import read_mean
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.tasks import Task, TaskOptions, get_task


@dataclass(frozen=True)
class Comparison:
    """Figures by clip id, the clips that could not be compared, each with the reason, and what the shards were made with."""

    clips: dict[str, dict[str, float]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    made: list[dict] = field(default_factory=list)


def compare_labels(
    truth_paths: Sequence[Path], label_paths: Mapping[str, Sequence[Path]], tasks: Mapping[str, dict]
) -> dict[str, dict[str, Comparison]]:
    """Compare labels with the exact truth of scenes.

    Args:
        truth_paths: Shards with the schema `truth`.
        label_paths: Kind of labeller -> KIND/LABELLER/SPLIT/SHARD.h5 of any labellers, SHARD as in the truth.
        tasks: Options of the tasks that are measured, by name.

    Returns:
        Kind -> labeller -> comparison; rejected clips are left out.
    """
    found = {kind: {labeller_of(path): Comparison() for path in paths} for kind, paths in label_paths.items()}
    for truth_path in truth_paths:
        with ExitStack() as stack:
            truth = stack.enter_context(ShardReader(truth_path))
            labels = [
                (kind, stack.enter_context(ShardReader(path)), found[kind][labeller_of(path)])
                for kind, paths in label_paths.items()
                for path in paths
                if Path(path).name == Path(truth_path).name
            ]
            for _, shard, comparison in labels:
                comparison.left_out.update(_rejections(shard))
            names = [name for name in truth.names if name != "scene"]
            for clip_id, exact in progress(truth.items(names), "label quality", len(truth)):
                for kind, shard, comparison in labels:
                    if clip_id in shard.scores:
                        comparison.clips[clip_id] = {
                            name: value
                            for task, options in _tasks_of(kind, tasks)
                            for name, value in task.compare_with_truth(
                                labelled(task, shard, clip_id, options), exact, options
                            ).items()
                        }
    return found


def compare_round_trips(
    label_paths: Mapping[str, Sequence[Path]],
    tasks: Mapping[str, dict],
    through_vae: Callable[[np.ndarray], np.ndarray],
    *,
    batch_clips: int,
    seed: int,
    max_clips: int | None = None,
) -> dict[str, list[float]]:
    """Measure what the standard colormap of each task loses by itself, and through the VAE.

    Args:
        label_paths: Kind of labeller -> shards of one labeller.
        tasks: Options of the tasks that are measured, by name.
        through_vae: From colormaps uint8 (B, T, H, W, 3) to what the VAE makes of them.
        batch_clips: B.
        seed: Of drawn colours, with the clip's id.
        max_clips: The first so many of each kind of labels; None for all.

    Returns:
        Figure -> its values, clip by clip.
    """
    values: dict[str, list[float]] = {}
    for kind, paths in label_paths.items():
        for task, options in _tasks_of(kind, tasks):
            left = max_clips
            for path in paths:
                with ShardReader(path) as shard:
                    chosen = shard.clip_ids[:left]
                    left = None if left is None else left - len(chosen)
                    for clip_ids in progress(_batches(chosen, batch_clips), f"{task.name} codec"):
                        rows = _round_trips(task, options, shard, clip_ids, through_vae, seed)
                        for name, value in (item for row in rows for item in row.items()):
                            values.setdefault(name, []).append(value)
    return values


def compare_samples(
    job: CompareSamples,
    predictions_path: str | Path,
    clips_path: str | Path,
    reference_path: str | Path,
    comparison_path: str | Path,
    comparator_paths: Sequence[str | Path] = (),
    mean_path: str | Path | None = None,
) -> None:
    """Compare the predictions of one shard of samples with a judge's labels of the generated videos; resumes in the shard.

    Besides the task's figures there are controls, which say what they are without a link between video and prediction:
    `..._shuffled`, the mean over the predictions of up to four other videos of the shard, of every figure against labels or
    the video's motion. Of the figures in the task's `ceilings` also `..._constant`, one prediction from the mean of the
    training labels, and `entity_labels_shuffled`, the mean over the judge's own labels of the same other videos, which says
    how alike the videos are. Of the figures that need no labels, `..._labels` is what the judge's labels get themselves.
    Figures of a comparator are called LABELLER_FIGURE.

    Args:
        job: The task, and the names of judge and comparators.
        predictions_path: A shard with the schema `predictions`.
        clips_path: The generated videos themselves.
        reference_path: The judge's labels of the same videos.
        comparison_path: The shard with the schema `comparisons` to write: figures as scores, and what was left out.
        comparator_paths: Those of `job.comparators`, in their order.
        mean_path: The mean of the labels that the run learned from; None for a task without a constant prediction.
    """
    task = get_task(job.task)
    options = task.Options(**job.options)
    constant = _constant(task, options, mean_path)
    paths = (predictions_path, clips_path, reference_path, *comparator_paths)
    with ExitStack() as stack:
        predictions, clips, reference, *others = shards = [stack.enter_context(ShardReader(path)) for path in paths]
        named = dict(zip(job.comparators, others, strict=True))
        compared = Compared(task, options, predictions, clips, reference, named)
        attrs = {"task": job.task, "judge": job.judge, "job": json.loads(job.dump())}
        attrs |= {"inputs": [shard.sha256 for shard in shards], "constant": _digest_of(constant)}
        attrs[BEHIND] = _provenance(clips, {job.judge: reference} | named)
        writer = stack.enter_context(ShardWriter(comparison_path, "comparisons", attrs, resume=True))
        rejections = _rejections(reference)
        for clip_id in progress(predictions.clip_ids, f"{job.task} comparison"):
            if clip_id in writer.done:
                continue
            if clip_id not in reference.scores:
                writer.reject(clip_id, rejections.get(clip_id, f"not among the labels of {job.judge}"))
            elif figures := compared.figures(clip_id, constant):
                writer.add(clip_id, {}, figures)
            else:
                writer.reject(clip_id, f"{job.judge} finds nothing in it")


def read_comparisons(paths: Sequence[str | Path]) -> Comparison:
    """Join shards that `compare_samples` wrote, in the order given."""
    joined = Comparison()
    for path in paths:
        with ShardReader(path) as shard:
            joined.clips.update(shard.scores)
            joined.left_out.update(_rejections(shard))
            joined.made.extend([shard.attrs[BEHIND]] if BEHIND in shard.attrs else [])
    return joined


def labeller_of(path: str | Path) -> str:
    """Return the name of the labeller that a shard KIND/LABELLER/SPLIT/SHARD.h5 is of."""
    return Path(path).parts[-3]


def _constant(task: Task, options: TaskOptions, mean_path: str | Path | None) -> np.ndarray | None:
    """The prediction (1, H, W, ...) of a model that looks at nothing; None for tasks and data without one."""
    mean = read_mean(mean_path) if task.has_constant and mean_path else None
    return None if mean is None else task.constant(mean, 1, options)


def _provenance(clips: ShardReader, labels: Mapping[str, ShardReader]) -> dict:
    """What a comparison rests on: the networks behind all labels, by labeller and role, and the optical flow."""
    networks = {"motion": Network(name=FLOW_METHOD, sha256=None)}
    for labeller, shard in labels.items():
        label_networks = shard.attrs.get(BEHIND, {}).get("networks", {})
        networks |= {f"{labeller} {role}": Network(**network) for role, network in label_networks.items()}
    return Made.of(clips.attrs, networks).on("cpu").model_dump(mode="json")


def _digest_of(constant: np.ndarray | None) -> str:
    return "" if constant is None else value_digest(np.asarray(constant))


def _round_trips(task: Task, options, shard, clip_ids, through_vae, seed) -> Iterator[dict[str, float]]:
    """Figures of a batch of clips."""
    labels = [labelled(task, shard, clip_id, options) for clip_id in clip_ids]
    generators = [np.random.default_rng(int(digest([seed, clip_id])[:16], 16)) for clip_id in clip_ids]
    colormaps = [
        task.encode(label, task.colormaps[0], options, rng) for label, rng in zip(labels, generators, strict=True)
    ]
    for label, colormap, coded in zip(labels, colormaps, through_vae(np.stack(colormaps)), strict=True):
        yield task.compare_round_trip(label, task.decode(colormap), task.decode(coded))


def _tasks_of(kind: str, tasks: Mapping[str, dict]) -> list[tuple[Task, TaskOptions]]:
    known = [(get_task(name), options) for name, options in tasks.items()]
    return [(task, task.Options(**options)) for task, options in known if task.labels == kind]


def _rejections(shard: ShardReader) -> dict[str, str]:
    return {entry["clip_id"]: entry["reason"] for entry in shard.rejected}


def _batches(clip_ids: Sequence[str], size: int) -> list[Sequence[str]]:
    return [clip_ids[start : start + size] for start in range(0, len(clip_ids), size)]
