"""Films of the report: what was generated, and the data set with its labels.

Reads shards of samples, clips and labels; returns plain dicts for the page.
"""

from __future__ import annotations

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


def data_set(
    clips: Path, entities: Path, depth: Path, captions: dict, count: int, folder: Path, name: str
) -> list[dict]:
    """Clips of one shard beside their entities (laid over) and their depth, with captions, scores and rejections."""
    films = []
    with ShardReader(clips) as clip_shard, ShardReader(entities) as entity_shard, ShardReader(depth) as depth_shard:
        fps = clip_shard.attrs["fps"]
        refused = {rejected["clip_id"]: rejected["reason"] for rejected in entity_shard.rejected}
        for index, clip_id in enumerate(clip_shard.clip_ids[:count]):
            video = decode_mp4(clip_shard.read(clip_id, "video_mp4"))
            panels = [video]
            if clip_id in entity_shard.clip_ids:
                panels.append(media.overlay(video, media.color_entities(entity_shard.read(clip_id, "entity_ids"))))
            else:
                panels.append(np.zeros_like(video))
            if clip_id in depth_shard.clip_ids:
                panels.append(media.color_depth(depth_shard.read(clip_id, "depth") / 65535))
            film = media.write_film(folder, f"data-{name}-{index:03d}", panels, fps)
            scores = clip_shard.scores.get(clip_id, {}) | entity_shard.scores.get(clip_id, {})
            films.append(
                film
                | {
                    "clip_id": clip_id,
                    "scores": scores,
                    "refused": refused.get(clip_id),
                    "words": captions.get(clip_id, {}),
                }
            )
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
