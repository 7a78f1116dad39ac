"""Films of the report: what was generated, and the data set with its labels.

Reads shards of samples, clips and labels; returns what the pages show.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from udpdiff.report import media
from udpdiff.storage.captions import read_rejections
from udpdiff.storage.shards import ShardReader
from udpdiff.video_io import decode_mp4


def generated(samples: Path, task: str, count: int, folder: Path) -> list[dict]:
    """The first samples of one run and task: the video beside its dense stream and what that decodes to."""
    films = []
    with ShardReader(samples / "samples.h5") as shard:
        run, fps = shard.attrs["run"], shard.attrs["fps"]
        for index, clip_id in enumerate(shard.clip_ids[:count]):
            panels = [shard.read(clip_id, "video")]
            if task != "video":
                panels += [shard.read(clip_id, "dense"), color_prediction(task, shard.read(clip_id, "prediction"))]
            film = media.write_film(folder, f"{run}-{task}-{index:02d}", panels, fps)
            films.append(film | {"caption": shard.read(clip_id, "prompt"), "clip_id": clip_id})
    return films


def color_prediction(task: str, prediction: np.ndarray) -> np.ndarray:
    """Decoded entity ids or depth (as stored) in colours, uint8 (T, H, W, 3)."""
    if task == "seg":
        return media.color_entities(prediction)
    grey = (prediction // 257).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=-1)


def compared(samples: dict[str, Path], count: int, folder: Path) -> list[dict]:
    """One row per prompt: each model's video from the same noise, as a film and as the paper's strip of six frames.

    samples: label -> folder of samples, in the order of the rows.
    """
    readers = {label: ShardReader(path / "samples.h5") for label, path in samples.items()}
    shared = [
        clip for clip in next(iter(readers.values())).clip_ids if all(clip in r.clip_ids for r in readers.values())
    ]
    rows = []
    for index, clip_id in enumerate(shared[:count]):
        videos = [reader.read(clip_id, "video") for reader in readers.values()]
        first = next(iter(readers.values()))
        film = media.write_film(folder, f"compared-{index:02d}", videos, first.attrs["fps"])
        strip = media.strip([video.repeat(2, axis=1).repeat(2, axis=2) for video in videos])
        media.write_png(folder / f"compared-{index:02d}-strip.png", strip)
        strip_name = f"{folder.name}/compared-{index:02d}-strip.png"
        rows.append(film | {"strip": strip_name, "caption": first.read(clip_id, "prompt"), "labels": list(readers)})
    return rows


@dataclass(frozen=True)
class LabelledClip:
    """One clip with its labels by one or more variants.

    video: uint8 (T, H, W, 3); views: variant -> its labels in colours, of the same shape, black where there are none;
    notes: variant -> what its labeller said of the clip; refused: variant -> why it has no labels.
    """

    clip_id: str
    fps: float
    video: np.ndarray
    views: dict[str, np.ndarray]
    notes: dict[str, str]
    refused: dict[str, str]
    words: dict[str, str]


def labelled_clips(
    clips: Path,
    entities: dict[str, Path],
    depth: dict[str, Path],
    captions: dict[str, dict[str, str]],
    frames: int | None = None,
) -> Iterator[LabelledClip]:
    """Clips of one shard with the labels in the shards named by variant: entities laid over the clip, depth in colours.

    frames: only so many, evenly spaced, the first and the last among them; all by default.
    """
    paths = {f"entities {name}": path for name, path in entities.items()}
    paths |= {f"depth {name}": path for name, path in depth.items()}
    with ExitStack() as stack:
        clip_shard = stack.enter_context(ShardReader(clips))
        shards = {name: stack.enter_context(ShardReader(path)) for name, path in paths.items()}
        listed = {
            name: {entry["clip_id"]: entry["reason"] for entry in shard.rejected} for name, shard in shards.items()
        }
        for clip_id in clip_shard.clip_ids:
            video = decode_mp4(clip_shard.read(clip_id, "video_mp4"))
            shown = slice(None) if frames is None else np.linspace(0, len(video) - 1, frames).round().astype(int)
            video = video[shown]
            views, notes, refused = {}, {}, {}
            for name, shard in shards.items():
                if clip_id not in shard.scores:
                    views[name], refused[name] = np.zeros_like(video), listed[name].get(clip_id, "not labelled")
                elif shard.schema == "entities":
                    views[name] = media.overlay(video, media.color_entities(shard.read(clip_id, "entity_ids")[shown]))
                    scores = shard.scores[clip_id]
                    notes[name] = f"{scores['entities']:.0f} entities, coverage {scores['coverage']:.2f}"
                else:
                    views[name] = media.color_depth(shard.read(clip_id, "depth")[shown] / 65535)
            words = captions.get(clip_id, {})
            yield LabelledClip(clip_id, clip_shard.attrs["fps"], video, views, notes, refused, words)


def data_set(clips: Iterable[LabelledClip], folder: Path, name: str) -> list[dict]:
    """Films of clips beside their labels, with captions, notes and refusals."""
    films = []
    for index, clip in enumerate(clips):
        film = media.write_film(folder, f"data-{name}-{index:03d}", [clip.video, *clip.views.values()], clip.fps)
        told = {"clip_id": clip.clip_id, "notes": clip.notes, "refused": clip.refused, "words": clip.words}
        films.append(film | told)
    return films


def rejections(shards: list[Path]) -> list[dict]:
    """All rejected clips of some shards: stage, split, clip id, reason."""
    rows = []
    for path in shards:
        with ShardReader(path) as shard:
            rows += [{"stage": shard.schema, "split": path.parent.name} | rejected for rejected in shard.rejected]
    return rows


def rejected_captions(tables: list[Path], split: str) -> list[dict]:
    """The same of some caption tables."""
    reasons = read_rejections(tables)
    return [
        {"stage": "captions", "split": split, "clip_id": clip_id, "reason": why} for clip_id, why in reasons.items()
    ]


def count(clips: list[Path]) -> dict[str, int]:
    """Accepted and rejected clips and distinct source videos of one split."""
    accepted, rejected, sources = 0, 0, set()
    for path in clips:
        with ShardReader(path) as shard:
            accepted, rejected = accepted + len(shard), rejected + len(shard.rejected)
            sources |= {data["source_id"] for _, data in shard.items(["source_id"])}
    return {"accepted": accepted, "rejected": rejected, "sources": len(sources)}


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Shards by their number."""
    return sorted(paths, key=lambda path: int(path.stem))
