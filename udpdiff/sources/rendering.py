"""One shard of procedural scenes: mp4 clips, and their exact truth in a shard of its own."""

from __future__ import annotations

import json
from pathlib import Path

from udpdiff.jobs import RenderScenes
from udpdiff.progress import progress
from udpdiff.sources import filters
from udpdiff.sources.clip_lists import scene_name
from udpdiff.sources.scenes import SceneSettings, render_clip
from udpdiff.storage.shards import ShardWriter
from udpdiff.video_io import decode_mp4, encode_mp4

TRUTH = ("entity_ids", "z", "flow", "normals", "camera")


def render_shard(job: RenderScenes, clips_path: str | Path, truth_path: str | Path) -> None:
    """Write the clips of a shard, filtered as any others, and the truth of those that are kept.

    Raises:
        StorageError: A shard cannot be written.
    """
    solids = job.model_dump(include={"min_solids", "max_solids", "solid_size"})
    settings = SceneSettings(**job.size.model_dump(), **solids)
    attrs = job.size.model_dump() | {"source": "scenes", "job": json.loads(job.dump())}
    with ShardWriter(clips_path, "clips", attrs) as clips, ShardWriter(truth_path, "truth", attrs) as truth:
        for seed in progress(range(job.first_scene, job.first_scene + job.count), "scenes"):
            name, scene = scene_name(seed), render_clip(settings, seed)
            encoded = encode_mp4(scene.video, settings.fps)
            scores = filters.score_clip(decode_mp4(encoded))
            reasons = filters.check(scores, job.filters)
            if reasons:
                clips.reject(name, "; ".join(reasons), scores)
                truth.reject(name, "; ".join(reasons))
                continue
            words = {"brief": scene.brief, "detailed": scene.detailed, "source_id": name}
            digests = {"source_sha256": "", "record_sha256": ""}
            clips.add(name, {"video_mp4": encoded} | words | digests, scores)
            truth.add(name, {key: getattr(scene, key) for key in TRUTH} | {"scene": json.dumps(scene.scene)})
