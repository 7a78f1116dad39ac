"""Films of the report: what was generated, and the data set with its labels.

Reads shards of samples, clips and labels; returns what the pages show.
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
from udpdiff.storage.captions import read_captions
from udpdiff.storage.shards import ShardReader
from udpdiff.tasks import get_task
from udpdiff.video_io import decode_mp4
from udpdiff.workflow import VIDEO

_COMPARED_PROMPTS = 6  # at most


def generated(inputs: Inputs, run: str, task: str, folder: Path) -> dict:
    """Return the first samples of one run and task: each video beside its dense stream and what that decodes to."""
    films = []
    for clip_path, dense_path in inputs.samples(run, task):
        with ShardReader(clip_path) as clips, ShardReader(dense_path) as dense:
            for clip_id in clips.clip_ids[: inputs.examples - len(films)]:
                prediction = get_task(task).from_storage(dense.read(clip_id, "prediction"))
                panels = [
                    decode_mp4(clips.read(clip_id, "video_mp4")),
                    decode_mp4(dense.read(clip_id, "dense_mp4")),
                    get_task(task).picture(prediction),
                ]
                film = media.write_film(folder, f"{run}-{task}-{len(films):02d}", panels, clips.attrs["fps"])
                films.append(film | {"caption": clips.read(clip_id, "detailed"), "clip_id": clip_id})
    return {"run": run, "phrase": get_task(task).phrase, "legend": get_task(task).legend, "films": films}


def compared(inputs: Inputs, folder: Path) -> list[dict]:
    """Return one row per prompt: each model's video from the same noise, as a film and as the paper's strip of frames."""
    base = next((pair for pair in inputs.shown if pair[1] == VIDEO), None)
    pairs = {f"UDPDiff ({task})": (run, task) for run, task in inputs.featured_pairs() if run == inputs.featured_run()}
    if base:
        pairs = {f"CogVideoX ({base[0]})": base} | pairs
    rows: list[dict] = []
    if len(pairs) < 2:
        return rows
    for shards in zip(*(inputs.samples(run, task) for run, task in pairs.values()), strict=True):
        with ExitStack() as stack:
            readers = [stack.enter_context(ShardReader(clips)) for clips, _ in shards]
            shared = [clip_id for clip_id in readers[0].clip_ids if all(clip_id in r.scores for r in readers)]
            for clip_id in shared[: min(inputs.examples, _COMPARED_PROMPTS) - len(rows)]:
                videos = [decode_mp4(reader.read(clip_id, "video_mp4")) for reader in readers]
                name = f"compared-{len(rows):02d}"
                row = media.write_film(folder, name, videos, readers[0].attrs["fps"])
                strip = media.strip([video.repeat(2, axis=1).repeat(2, axis=2) for video in videos])
                media.write_png(folder / f"{name}-strip.png", strip)
                row["strip"] = f"{folder.name}/{name}-strip.png"
                rows.append(row | {"caption": readers[0].read(clip_id, "detailed"), "labels": list(pairs)})
    return rows


@dataclass(frozen=True)
class LabelledClip:
    """One clip with its labels by one or more variants.

    Attributes:
        video: uint8 (T, H, W, 3).
        views: By variant, its labels in colours, of the same shape; black where there are none.
        notes: By variant, what its labeller said of the clip.
        refused: By variant, why the clip has no labels.
        words: Its captions.
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
    captions = read_captions([inputs.captions(split, number)])
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
