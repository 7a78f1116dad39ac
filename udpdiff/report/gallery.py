"""Films of the data set with its labels, and its counts.

Reads shards of clips and labels; returns what the pages show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from udpdiff.report import media
from udpdiff.report.inputs import Inputs, labelled_task
from udpdiff.storage.captions import KINDS, read_captions, whole_caption
from udpdiff.storage.shards import ShardReader
from udpdiff.video_io import decode_mp4


@dataclass(frozen=True)
class LabelledClip:
    """One clip with its labels by one or more variants.

    Attributes:
        video: uint8 (T, H, W, 3).
        views: By variant, its labels in colours, of the same shape; black where there are none.
        notes: By variant, what its labeller said of the clip.
        refused: By variant, why the clip has no labels.
        words: Its captions, whole.
    """

    clip_id: str
    fps: float
    video: np.ndarray
    views: dict[str, np.ndarray]
    notes: dict[str, str]
    refused: dict[str, str]
    words: dict[str, str]


def labelled_clips(
    inputs: Inputs, split: str, number: int, labellers: Mapping[str, list[str]], frames: int | None = None
) -> Iterator[LabelledClip]:
    """Yield the clips of one shard with their labels: entities laid over the clip, others in colours.

    Args:
        inputs: The report's files.
        split: train or evaluation.
        number: Of the shard.
        labellers: Names of labellers by kind.
        frames: Only so many, evenly spaced, the first and the last among them; None for all.
    """
    rows = read_captions([inputs.captions(split, number)])
    captions = {clip_id: {kind: whole_caption(row, kind) for kind in KINDS} for clip_id, row in rows.items()}
    with ExitStack() as stack:
        clips = stack.enter_context(ShardReader(inputs.shard("clips", split, number)))
        shards = {
            f"{kind} {name}": (kind, stack.enter_context(ShardReader(inputs.shard(f"{kind}/{name}", split, number))))
            for kind, names in labellers.items()
            for name in names
        }
        listed = {
            name: {entry["clip_id"]: entry["reason"] for entry in shard.rejected} for name, (_, shard) in shards.items()
        }
        for clip_id in clips.clip_ids:
            video = decode_mp4(clips.read(clip_id, "video_mp4"))
            picked = slice(None) if frames is None else np.linspace(0, len(video) - 1, frames).round().astype(int)
            video = video[picked]
            views, notes, refused = {}, {}, {}
            for name, (kind, shard) in shards.items():
                if clip_id not in shard.scores:
                    views[name], refused[name] = np.zeros_like(video), listed[name].get(clip_id, "not labelled")
                    continue
                task = labelled_task(kind)
                stored = shard.read(clip_id, task.dataset)[picked]
                picture = task.picture(task.from_labels(stored, inputs.config.task_options(task.name)))
                views[name] = media.overlay(video, picture) if kind == "entities" else picture
                if kind == "entities":
                    scores = shard.scores[clip_id]
                    notes[name] = f"{scores['entities']:.0f} entities, coverage {scores['coverage']:.2f}"
            yield LabelledClip(clip_id, clips.attrs["fps"], video, views, notes, refused, captions.get(clip_id, {}))


def data_set(inputs: Inputs, folder: Path) -> list[dict]:
    """Return films of training clips beside the judges' labels."""
    films = []
    for split, number in inputs.workflow.example_shards():
        clips = labelled_clips(inputs, split, number, inputs.judges())
        for index, clip in enumerate(islice(clips, inputs.examples - len(films))):
            panels = [clip.video, *clip.views.values()]
            film = media.write_film(folder, f"data-{split}-{number}-{index:03d}", panels, clip.fps)
            film |= {"clip_id": clip.clip_id, "notes": clip.notes, "refused": clip.refused, "words": clip.words}
            films.append(film)
    return films
