"""One shard of chosen Panda-70M clips: fetched, cut, and topped up from the reserve for those that are lost.

A clip that cannot be had, or that a filter refuses, is listed with its reason.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from udpdiff.clip import RejectedClip, Rejection
from udpdiff.config_data import Fetching
from udpdiff.jobs import DownloadClips
from udpdiff.progress import progress
from udpdiff.sources.cutting import CutClip, cut_clip
from udpdiff.sources.fetching import Fetch, FetchSettings, Throttled, load_fetch
from udpdiff.sources.videos import printable
from udpdiff.storage.digests import digest
from udpdiff.storage.shards import ShardWriter

# Clips in a row that the site asked to wait for, after which nothing more is asked of it.
PATIENCE_CLIPS = 10


class StartAgainLater(Exception):
    """The site asked to wait and clips are missing; what is finished is kept."""


def download_shard(job: DownloadClips, fetching: Fetching, chosen_path: str | Path, clips_path: str | Path) -> None:
    """Write a shard of chosen clips, going on where a job that was stopped left off.

    Args:
        job: Which shard, and what its clips shall be.
        fetching: How they are fetched.
        chosen_path: Table of all chosen clips, as `panda70m_sample` chooses them.
        clips_path: Of the shard.

    Raises:
        StartAgainLater: Clips are missing and may be had later.
        StorageError: The shard cannot be written.
    """
    options = FetchSettings(job.stream_height, fetching.rate_limit, fetching.cookies)
    get = partial(fetch_patiently, load_fetch(fetching.fetch), options=options, attempts=fetching.attempts)
    cut = partial(cut_clip, size=job.size, thresholds=job.filters)
    wanted, candidates = shard_candidates(chosen_path, job)
    attrs = job.size.model_dump() | {"source": "panda70m", "job": json.loads(job.dump())}
    attrs["chosen"] = digest([clip["clip_id"] for clip in candidates])
    with ShardWriter(clips_path, "clips", attrs, resume=True) as shard:
        throttled = fill(shard, wanted, candidates, get, cut)
        if shard.added < wanted and throttled:
            raise StartAgainLater(
                f"{shard.added} of {wanted} clips; {len(throttled)} were throttled: start again later."
            )
        for clip_id, words in throttled.items():
            shard.reject(clip_id, printable(Rejection.THROTTLED.because(words)))
        if shard.added < wanted:
            print(
                f"Only {shard.added} of {wanted} clips: the reserve is used up; raise panda70m.reserve.",
                file=sys.stderr,
            )


def shard_candidates(chosen_path: str | Path, job: DownloadClips) -> tuple[int, list[dict]]:
    """Return how many clips the shard shall hold, and those to try: its own, then its share of the reserve."""
    import pandas as pd

    table = pd.read_parquet(chosen_path)
    rows = table[table["split"] == job.split].to_dict("records")
    count, per_shard = job.split_clips, job.shard_clips
    own = rows[:count][job.shard * per_shard : (job.shard + 1) * per_shard]
    return len(own), own + rows[count:][job.shard :: -(-count // per_shard)]


def fill(
    shard: ShardWriter,
    wanted: int,
    candidates: list[dict],
    get: Callable[[dict, Path], None],
    cut: Callable[[Path], CutClip],
) -> dict[str, str]:
    """Add or reject one candidate after the other until the shard holds as many clips as wanted.

    Args:
        shard: Open for writing.
        wanted: How many clips it shall hold.
        candidates: Records of the table of chosen clips.
        get: Fetches a clip to a file.
        cut: Makes the clip of it.

    Returns:
        The clips that the site asked to wait for, and its words; after several in a row no more are tried.
    """
    throttled, in_a_row = {}, 0
    for record in progress(candidates, "clips"):
        if shard.added >= wanted or in_a_row >= PATIENCE_CLIPS:
            break
        clip_id, clip = record["clip_id"], None
        if clip_id in shard.done:
            continue
        try:
            with tempfile.TemporaryDirectory() as folder:
                get(record, file := Path(folder) / "clip.mp4")
                clip = cut(file)
            reasons = clip.reasons
        except Throttled as fault:
            throttled[clip_id], in_a_row = str(fault), in_a_row + 1
            print(f"{clip_id}: throttled: {printable(str(fault))}", file=sys.stderr)
            continue
        except RejectedClip as rejected:
            reasons = [str(rejected)]
        in_a_row = 0
        if reasons:
            shard.reject(clip_id, printable("; ".join(reasons)), clip and clip.scores)
            continue
        words = {"brief": " ".join(record["caption"].split()), "detailed": "", "source_id": record["video_id"]}
        digests = {"source_sha256": clip.source_sha256, "record_sha256": digest(record)}
        shard.add(clip_id, {"video_mp4": clip.video_mp4} | words | digests, clip.scores)
    return throttled


def fetch_patiently(fetch: Fetch, record: dict, file: Path, options: FetchSettings, attempts: int) -> None:
    """Fetch a clip's time range, waiting longer each time the site asks to.

    Raises:
        Throttled: After the last attempt.
        RejectedClip: The clip cannot be had.
    """
    for attempt in range(attempts):
        try:
            fetch(record["url"], record["start"], record["end"], file, options)
        except Throttled:
            if attempt + 1 == attempts:
                raise
            time.sleep(2.0**attempt)
        else:
            if not file.is_file():
                raise RejectedClip(Rejection.NOT_FETCHED, "no file came")
            return
