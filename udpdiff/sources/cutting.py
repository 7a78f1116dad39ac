"""Clips of fixed size cut from video files, filtered; one shard of a folder of them."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from udpdiff.clip import RejectedClip, Rejection
from udpdiff.config.data import ClipSize, Filters
from udpdiff.files import file_sha256
from udpdiff.jobs import CutVideos
from udpdiff.progress import progress
from udpdiff.sources import captions_csv, filters, source_names, videos
from udpdiff.sources.enough_clips import counted_reasons
from udpdiff.storage.digests import digest
from udpdiff.storage.shards import ShardWriter
from udpdiff.video_io import decode_mp4, encode_mp4


@dataclass(frozen=True)
class CutClip:
    """The middle of a video file.

    Attributes:
        video_mp4: The clip as it is stored.
        source_sha256: Of the file.
        scores: Of `filters.score_clip`.
        reasons: Why filters refuse it; empty for a clip to keep.
    """

    video_mp4: bytes
    source_sha256: str
    scores: dict[str, float]
    reasons: list[str]


def cut_clip(path: Path, size: ClipSize, thresholds: Filters) -> CutClip:
    """Cut the middle of a video file.

    Raises:
        RejectedClip: The file cannot give a clip of that size and length.
    """
    encoded = encode_mp4(videos.read_clip(path, **size.model_dump()), size.fps)
    scores = filters.score_clip(decode_mp4(encoded))
    return CutClip(encoded, file_sha256(path), scores, filters.check(scores, thresholds))


def cut_shard(job: CutVideos, folder: str | Path, captions_path: str | Path | None, clips_path: str | Path) -> None:
    """Write a shard of a folder's clips; files that give none are listed with the reason, and replaced from the reserve.

    Args:
        folder: Of video files.
        captions_path: The csv, for a job with captions.
        clips_path: Of the shard.

    Raises:
        ValueError: The csv of captions is not one.
        StorageError: The shard cannot be written.
    """
    files = {videos.printable(path.name): path for path in videos.list_videos(folder)}
    names = [path.name for path in files.values()]
    # Without a csv a captioner writes the captions.
    if job.captioned:
        captions = captions_csv.read_clip_table(captions_path, names).captions
    else:
        captions = dict.fromkeys(names, "")
    attrs = job.size.model_dump() | {"source": "videos", "job": json.loads(job.dump())}
    lost: list[str] = []
    with ShardWriter(clips_path, "clips", attrs) as clips:
        for clip_id in progress((*job.clip_ids, *job.reserve), "clips"):
            if clips.added >= len(job.clip_ids):
                break
            path, cut = files.get(clip_id, Path(folder, clip_id)), None
            try:
                if path.name not in captions:
                    raise RejectedClip(Rejection.NO_CAPTION)
                cut = cut_clip(path, job.size, job.filters)
                reasons = cut.reasons
            except RejectedClip as rejected:
                reasons = [str(rejected)]
            if reasons:
                lost.append("; ".join(reasons))
                clips.reject(clip_id, lost[-1], cut and cut.scores)
                continue
            words = {
                "brief": captions[path.name],
                "detailed": "",
                "source_id": job.sources.get(clip_id) or videos.printable(source_names.source_of(path.name)),
            }
            record = digest([clip_id, captions[path.name]]) if job.captioned else ""
            digests = {"source_sha256": cut.source_sha256, "record_sha256": record}
            clips.add(clip_id, {"video_mp4": cut.video_mp4} | words | digests, cut.scores)
        if clips.added < len(job.clip_ids):
            print(
                f"Only {clips.added} of {len(job.clip_ids)} clips: there are no more files to try. "
                f"Rejected: {counted_reasons(lost)}.",
                file=sys.stderr,
            )
