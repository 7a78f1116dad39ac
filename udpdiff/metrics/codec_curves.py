"""What labels lose in their colours and in the VAE, as curves over the axes that a task names (`Task.curve`).

Labels of the evaluation clips say it of the data at hand. Where these hold too little of something (a mini scene has five
entities), a task draws clips besides; both are told apart in what is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from udpdiff.metrics.bootstrap import bootstrap_mean
from udpdiff.progress import progress
from udpdiff.storage.digests import digest
from udpdiff.storage.shards import ShardReader
from udpdiff.tasks import TASKS, Task, TaskOptions
from udpdiff.tasks.curve import Axis, CurveValues

MAX_CLIPS = 12  # of labels, which says enough of a curve
SOURCES = {"labels": "the judge's labels of evaluation clips", "drawn": "drawn clips of many entities, no real ones"}
STAGES = {"colours": "in colours alone", "vae": "through colours and VAE"}

Lines = dict[tuple[str, str, str], list[CurveValues]]


def measure_curves(
    label_paths: Mapping[str, Sequence[Path]],
    tasks: Mapping[str, dict],
    through_vae: Callable[[np.ndarray], np.ndarray],
    *,
    batch_clips: int,
    max_clips: int,
    seed: int,
    bootstrap_samples: int,
) -> dict:
    """Return the curves of all tasks that have some, as they stand under `curves` in codec.json.

    {"sources": {name: words}, "stages": {name: words}, "tasks": {task: {
        "figure": {"key", "label", "direction", "digits", "words", "unit", "scale"},
        "axes": {axis: {"label", "unit", "scale": "linear" or "log"}},
        "codings": {coding: label},
        "lines": [{"axis", "coding", "source", "stage", "points": [
            {"from", "to", "at", "value", "low", "high", "count", "clips"}]}]}}}

    A point is a bin [from, to) of the axis, to null where it has no end, `at` the mean position in it; value the mean over
    `count` entities or pixels of `clips` clips, low and high its 95 % interval over clips, null for a single one. Bins
    without any are left out, and lines without a point.

    Args:
        label_paths: Kind of labeller -> shards of one labeller.
        tasks: Options of the tasks that are measured, by name.
        through_vae: From colormaps uint8 (B, T, H, W, 3) to what the VAE makes of them.
        batch_clips: B.
        max_clips: Clips of labels, no more than 12 in any case.
        seed: Of drawn clips, colours and resampling.
        bootstrap_samples: Resamples of every interval.
    """
    curves = {}
    for name in tasks:
        task, options = TASKS[name], TASKS[name].Options(**tasks[name])
        if task.curve is None or not label_paths.get(task.labels):
            continue
        lines: Lines = {}
        codings = task.curve_codings(options)
        labels = list(_labels(task, options, label_paths[task.labels], min(MAX_CLIPS, max_clips)))
        drawn = task.drawn(labels[0].shape[:3], _rng(seed, name)) if labels else ()
        for source, clips in (("labels", labels), ("drawn", drawn)):
            for number, batch in enumerate(progress(_batches(clips, batch_clips), f"{name} curves, {source}")):
                for coding, how in codings.items():
                    rng = _rng(seed, name, source, number)
                    colormaps = [task.encode(clip, how.colormap, how.options, rng) for clip in batch]
                    for clip, colormap, coded in zip(batch, colormaps, through_vae(np.stack(colormaps)), strict=True):
                        for stage, shown in (("colours", colormap), ("vae", coded)):
                            values = task.curve_values(clip, colormap, task.decode(shown))
                            lines.setdefault((coding, source, stage), []).append(values)
        curves[name] = {
            "figure": {key: value for key, value in asdict(task.curve.figure).items() if key != "summary"},
            "axes": {
                axis: {"label": each.label, "unit": each.unit, "scale": each.scale}
                for axis, each in task.curve.axes.items()
            },
            "codings": {coding: how.label for coding, how in codings.items()},
            "lines": list(_drawn_lines(task.curve.axes, lines, bootstrap_samples, seed)),
        }
    return {"sources": SOURCES, "stages": STAGES, "tasks": curves}


def curve_round_trips(task: Task, options: TaskOptions, clips: int) -> int:
    """Return how many clips go through the VAE for the curves of a task, of so many clips of labels."""
    return len(task.curve_codings(options)) * (min(MAX_CLIPS, clips) + task.drawn_clips)


def _labels(task: Task, options: TaskOptions, paths: Sequence[Path], most: int) -> Iterator[np.ndarray]:
    for path in paths:
        with ShardReader(path) as shard:
            for clip_id in shard.clip_ids[:most]:
                yield task.from_labels(shard.read(clip_id, task.dataset), options)
        most -= len(shard)
        if most <= 0:
            return


def _rng(*names) -> np.random.Generator:
    return np.random.default_rng(int(digest(list(names))[:16], 16))


def _batches(clips: Iterable[np.ndarray], size: int) -> list[list[np.ndarray]]:
    clips = list(clips)
    return [clips[start : start + size] for start in range(0, len(clips), size)]


def _drawn_lines(axes: Mapping[str, Axis], lines: Lines, resamples: int, seed: int) -> Iterator[dict]:
    for axis, described in axes.items():
        for (coding, source, stage), clips in lines.items():
            points = list(_points(axis, described.edges, clips, resamples, seed))
            if points:
                yield {"axis": axis, "coding": coding, "source": source, "stage": stage, "points": points}


def _points(
    axis: str, edges: Sequence[float], clips: Sequence[CurveValues], resamples: int, seed: int
) -> Iterator[dict]:
    count, value, place = (np.zeros((len(clips), len(edges) - 1)) for _ in range(3))
    for row, clip in enumerate(clips):
        bins = np.searchsorted(edges, clip.positions[axis], side="right") - 1
        for into, weights in ((count, None), (value, clip.values), (place, clip.positions[axis])):
            into[row] = np.bincount(bins, weights, len(edges) - 1)
    for number in np.flatnonzero(count.any(axis=0)):
        has = count[:, number] > 0
        weights = count[has, number]
        # Entities of one clip share its colours, so that clips are drawn, each with all of them.
        mean = bootstrap_mean(value[has, number] / weights, weights=weights, resamples=resamples, seed=seed)
        yield {
            "from": float(edges[number]),
            "to": _finite(edges[number + 1]),
            "at": float(place[:, number].sum() / weights.sum()),
            "value": mean.value,
            "low": _finite(mean.low),
            "high": _finite(mean.high),
            "count": int(weights.sum()),
            "clips": mean.n,
        }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
