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
from udpdiff.config.data import Fetching
from udpdiff.jobs import DownloadClips
from udpdiff.progress import progress
from udpdiff.sources.cutting import CutClip, cut_clip
from udpdiff.sources.download_faults import CannotFetch, Throttled, fault_of_system
from udpdiff.sources.fetching import Fetch, FetchSettings, load_fetch
from udpdiff.sources.videos import printable
from udpdiff.storage.digests import digest
from udpdiff.storage.parquet import read_table
from udpdiff.storage.shards import ShardWriter
from udpdiff.video_io import probe

# Clips in a row that do not come, for no reason of their own, after which nothing more is asked for.
PATIENCE_CLIPS = 10
# What a fetcher brings that is no clip of anything: an error page under a video's name, half a file, nothing.
_NO_CLIP = {Rejection.NOT_FETCHED, Rejection.EMPTY_FILE, Rejection.UNREADABLE, Rejection.NO_VIDEO, Rejection.BROKEN}
# A cut at keyframes instead of frames may leave so much before and after the range; more would move the clip's middle.
_CUT_TOLERANCE_SECONDS = 2.0


class StartAgainLater(Exception):
    """The site or network failed for now and clips are missing; what is finished is kept."""


def download_shard(job: DownloadClips, fetching: Fetching, chosen_path: str | Path, clips_path: str | Path) -> None:
    """Write a shard of chosen clips, going on where a job that was stopped left off.

    Args:
        job: Which shard, and what its clips shall be.
        fetching: How they are fetched.
        chosen_path: Table of all chosen clips, as `panda70m_sample` chooses them.
        clips_path: Of the shard.

    Raises:
        StartAgainLater: Clips are missing and may be had later.
        CannotFetch: Clips are missing, and the next ones would not come either.
        StorageError: The shard cannot be written.
    """
    options = FetchSettings(job.stream_height, fetching.rate_limit, fetching.cookies)
    get = partial(fetch_patiently, load_fetch(fetching.fetch), options=options, attempts=fetching.attempts)
    cut = partial(cut_clip, size=job.size, thresholds=job.filters)
    wanted, candidates = shard_candidates(chosen_path, job)
    attrs = job.size.model_dump() | {"source": "panda70m", "job": json.loads(job.dump())}
    attrs["chosen"] = digest([clip["clip_id"] for clip in candidates])
    with ShardWriter(clips_path, "clips", attrs, resume=True) as shard:
        postponed = fill(shard, wanted, candidates, get, cut)
        if shard.added < wanted:
            _check_missing(shard, wanted, postponed)
        for clip_id, fault in postponed.items():
            words = fault if isinstance(fault, RejectedClip) else Rejection.THROTTLED.because(str(fault))
            shard.reject(clip_id, printable(str(words)))


def _check_missing(shard: ShardWriter, wanted: int, postponed: dict[str, Exception]) -> None:
    """Tell what a shard with too few clips means: nothing more to be had, or another attempt."""
    missing = f"{shard.added} of {wanted} clips"
    later = [fault for fault in postponed.values() if isinstance(fault, Throttled)]
    if later:
        raise StartAgainLater(f"{missing}; {len(later)} were throttled: start again later. The last one: {later[-1]}")
    if postponed and not shard.added:
        raise CannotFetch(
            f"{missing}, and {len(postponed)} were not fetched. The last one: {[*postponed.values()][-1]}. Look at "
            "panda70m.fetch; no clip is lost, start again when it works."
        )
    print(f"Only {missing}: the reserve is used up; raise panda70m.reserve.", file=sys.stderr)


def shard_candidates(chosen_path: str | Path, job: DownloadClips) -> tuple[int, list[dict]]:
    """Return how many clips the shard shall hold, and those to try: its own, then its share of the reserve."""
    rows = [row for row in read_table(chosen_path) if row["split"] == job.split]
    count, per_shard = job.split_clips, job.shard_clips
    own = rows[:count][job.shard * per_shard : (job.shard + 1) * per_shard]
    return len(own), own + rows[count:][job.shard :: -(-count // per_shard)]


def fill(
    shard: ShardWriter,
    wanted: int,
    candidates: list[dict],
    get: Callable[[dict, Path], None],
    cut: Callable[[Path], CutClip],
) -> dict[str, Exception]:
    """Add or reject one candidate after the other until the shard holds as many clips as wanted.

    Args:
        shard: Open for writing.
        wanted: How many clips it shall hold.
        candidates: Records of the table of chosen clips.
        get: Fetches a clip to a file.
        cut: Makes the clip of it.

    Returns:
        The clips that did not come for no reason of their own, and why; after several in a row no more are tried.

    Raises:
        CannotFetch: Several in a row did not come, and none is said to come later, or the machine cannot fetch at all.
    """
    postponed: dict[str, Exception] = {}
    in_a_row = 0
    for record in progress(candidates, "clips"):
        if shard.added >= wanted:
            break
        if in_a_row >= PATIENCE_CLIPS:
            _check_patience([*postponed.values()][-in_a_row:])
            break
        clip_id, clip = record["clip_id"], None
        if clip_id in shard.done:
            continue
        try:
            with tempfile.TemporaryDirectory() as folder:
                get(record, file := Path(folder) / "clip.mp4")
                clip = cut(file)
            reasons = clip.reasons
        except (Throttled, RejectedClip) as fault:
            if isinstance(fault, Throttled) or fault.reason in _NO_CLIP:
                postponed[clip_id], in_a_row = fault, in_a_row + 1
                print(f"{clip_id}: later: {printable(str(fault))}", file=sys.stderr)
                continue
            reasons = [str(fault)]
        except OSError as error:
            raise fault_of_system(error) from error
        in_a_row = 0
        if reasons:
            shard.reject(clip_id, printable("; ".join(reasons)), clip and clip.scores)
            continue
        words = {"brief": " ".join(record["caption"].split()), "detailed": "", "source_id": record["video_id"]}
        digests = {"source_sha256": clip.source_sha256, "record_sha256": digest(record)}
        shard.add(clip_id, {"video_mp4": clip.video_mp4} | words | digests, clip.scores)
    return postponed


def _check_patience(faults: list[Exception]) -> None:
    """Stop where none of so many clips in a row is said to come later."""
    if not any(isinstance(fault, Throttled) for fault in faults):
        raise CannotFetch(
            f"{len(faults)} clips in a row were not fetched. The last one: {faults[-1]}. Look at panda70m.fetch, its network "
            "and its programs; no clip is lost, start again when it works."
        )


def fetch_patiently(fetch: Fetch, record: dict, file: Path, options: FetchSettings, attempts: int) -> None:
    """Fetch a clip's time range, waiting longer each time the site asks to.

    Raises:
        Throttled: After the last attempt.
        RejectedClip: The clip cannot be had, or another length came.
        CannotFetch: The machine cannot fetch.
    """
    for attempt in range(attempts):
        try:
            _fetch_once(fetch, record, file, options)
        except Throttled:
            if attempt + 1 == attempts:
                raise
            time.sleep(2.0**attempt)
        else:
            _check_file(file, record["end"] - record["start"])
            return


def _fetch_once(fetch: Fetch, record: dict, file: Path, options: FetchSettings) -> None:
    try:
        fetch(record["url"], record["start"], record["end"], file, options)
    except OSError as error:
        raise fault_of_system(error) from error


def _check_file(file: Path, wanted_seconds: float) -> None:
    """Refuse a file that cannot be the range: the whole film would be cut far from what its caption tells."""
    if not file.is_file():
        raise RejectedClip(Rejection.NOT_FETCHED, "no file came")
    try:
        seconds = probe(file).duration_seconds
    except ValueError:
        return  # cutting says what is wrong with it
    if seconds is not None and seconds > wanted_seconds + _CUT_TOLERANCE_SECONDS:
        raise RejectedClip(Rejection.NOT_FETCHED, f"got {seconds:.1f} s for a range of {wanted_seconds:.1f} s")
