"""Every generated video's own figures, by run and task: what samples are sorted and filtered by.

Reads the shards of features and of comparisons, whose rows carry clip ids; nothing is computed anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from udpdiff.metrics.registry import FIGURES, describe
from udpdiff.report.inputs import Inputs
from udpdiff.storage.shards import ShardReader
from udpdiff.tasks.figure import Figure

_CONTROLS = ("_shuffled", "_constant")  # say something of a set, nothing of a video


@dataclass(frozen=True)
class SampleScores:
    """Figures of the samples of one run and task.

    Attributes:
        clip_ids: Of the prompts, in their order.
        scores: Clip id -> key of a figure -> value as stored; a figure that a video lacks is not there.
    """

    clip_ids: list[str]
    scores: dict[str, dict[str, float]]

    def figures(self) -> list[Figure]:
        """Return the figures that there are, in the order of the registry; then those of labellers, in the same order."""
        found = {key for scores in self.scores.values() for key in scores}
        return [describe(key) for key in sorted(found, key=_place)]


def read_scores(inputs: Inputs, run: str, task: str) -> SampleScores:
    """Return the samples of a run and task in the order of their prompts, with the figures that were measured."""
    clip_ids = []
    for clips, _ in inputs.samples(run, task):
        with ShardReader(clips) as shard:
            clip_ids += shard.clip_ids
    scores: dict[str, dict[str, float]] = {clip_id: {} for clip_id in clip_ids}
    for path in inputs.score_shards(run, task):
        with ShardReader(path) as shard:
            for clip_id, found in shard.scores.items():
                scores[clip_id] |= {key: value for key, value in found.items() if _is_shown(key)}
    return SampleScores(clip_ids, scores)


def _place(key: str) -> tuple[bool, int, str]:
    """Where a figure stands in a list; a labeller's ends with the key of the figure that it is set beside."""
    listed = list(FIGURES["generated"])
    if key in listed:
        return False, listed.index(key), key
    return True, next((place for place, name in enumerate(listed) if key.endswith(f"_{name}")), len(listed)), key


def _is_shown(key: str) -> bool:
    """Whether a score is a figure of the one video. Shards also hold marks, such as that nothing moves."""
    if key.endswith(_CONTROLS):
        return False
    try:
        describe(key)
    except ValueError:
        return False
    return True


def worst(samples: SampleScores, figure: Figure, count: int) -> list[str]:
    """Return the clips with the worst values of a figure, worst first; none of a figure without a better end."""
    if figure.direction == "neither":
        return []
    valued = [clip_id for clip_id in samples.clip_ids if figure.key in samples.scores[clip_id]]
    best_last = sorted(valued, key=lambda clip_id: samples.scores[clip_id][figure.key])
    return (best_last if figure.direction == "higher" else best_last[::-1])[:count]


def with_films(samples: SampleScores, first: int, each_worst: int) -> list[str]:
    """Return the clips that films are made of, in the order of the prompts: the first ones, and the worst by each figure."""
    chosen = set(samples.clip_ids[:first])
    for figure in samples.figures():
        chosen.update(worst(samples, figure, each_worst))
    return [clip_id for clip_id in samples.clip_ids if clip_id in chosen]


def captions(paths: Iterable[Path], style: str) -> dict[str, str]:
    """Return the prompt of every clip of some shards of samples, `style` being brief or detailed."""
    found = {}
    for path in paths:
        with ShardReader(path) as shard:
            found |= {clip_id: shard.read(clip_id, style) for clip_id in shard.clip_ids}
    return found
