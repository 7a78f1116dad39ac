"""Figures of one generated video's prediction: against labels, along the motion and by itself, with controls.

Reads one video, its prediction and labels at a time, and for the controls those of a few others one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from udpdiff.measures.optical_flow import FollowedFlow, followed_flow
from udpdiff.storage.shards import ShardReader
from udpdiff.tasks import Task, TaskOptions, labels_control
from udpdiff.video_io import decode_mp4

EXCHANGES = 4  # predictions of other videos that a video is set against, at most


@dataclass(frozen=True)
class Compared:
    """The shards of one comparison: predictions, their videos, the judge's labels, and comparators' by name."""

    task: Task
    options: TaskOptions
    predictions: ShardReader
    clips: ShardReader
    reference: ShardReader
    comparators: Mapping[str, ShardReader]

    def figures(self, clip_id: str, constant: np.ndarray | None) -> dict[str, float]:
        """Return all figures of one clip, controls and comparators' included; none where the judge finds nothing.

        Args:
            constant: The prediction (1, H, W, ...) of a model that looks at nothing; None without one.
        """
        task = self.task
        target = labelled(task, self.reference, clip_id, self.options)
        prediction = self._predicted(clip_id)
        figures = task.compare(prediction, target)
        if not figures:
            return {}
        motion = followed_flow(decode_mp4(self.clips.read(clip_id, "video_mp4")))
        figures |= task.follow(prediction, motion)
        figures |= task.inspect(prediction, decode_mp4(self.predictions.read(clip_id, "dense_mp4")))
        alone = task.follow(target, motion) | task.inspect(target)
        figures |= {f"{figure}_labels": value for figure, value in alone.items()}
        figures |= self._exchanged(clip_id, target, motion)
        if constant is not None:
            same = task.compare_main(np.broadcast_to(constant, target.shape), target)
            figures |= {f"{figure}_constant": same[figure] for figure in task.ceilings if figure in same}
        for name, shard in self.comparators.items():
            if clip_id in shard.scores:
                labels = labelled(task, shard, clip_id, self.options)
                compared = task.compare(labels, target) | task.follow(labels, motion)
                figures |= {f"{name}_{figure}": value for figure, value in compared.items()}
        return figures

    def _exchanged(self, clip_id: str, target: np.ndarray, motion: FollowedFlow) -> dict[str, float]:
        """Return the means of figures of other videos' predictions, and of the judge's labels of those that it labelled."""
        task, others = self.task, self._others(clip_id)
        predicted = []
        for other in others:
            prediction = self._predicted(other)
            predicted.append(task.compare(prediction, target) | task.follow(prediction, motion))
        exchanged = [
            task.compare_main(labelled(task, self.reference, other, self.options), target)
            for other in others
            if other in self.reference.scores
        ]
        figures = {f"{figure}_shuffled": value for figure, value in _means(predicted).items()}
        labels = _means(exchanged)
        return figures | {labels_control(figure): labels[figure] for figure in task.ceilings if figure in labels}

    def _predicted(self, clip_id: str) -> np.ndarray:
        return self.task.from_storage(self.predictions.read(clip_id, "prediction"))

    def _others(self, clip_id: str) -> list[str]:
        """Return the videos that follow in the shard, round its end, never the video itself."""
        ids = self.predictions.clip_ids
        index = ids.index(clip_id)
        return [ids[(index + shift) % len(ids)] for shift in range(1, min(len(ids), EXCHANGES + 1))]


def labelled(task: Task, shard: ShardReader, clip_id: str, options: TaskOptions) -> np.ndarray:
    """Return what a clip's stored labels stand for."""
    return task.from_labels(shard.read(clip_id, task.dataset), options)


def _means(rows: list[dict[str, float]]) -> dict[str, float]:
    """Figure -> its mean over the rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}
