"""Downloads one shard of chosen Panda-70M clips, cuts them as configured, and tops up from the reserve for those lost.

A clip that cannot be had, or that a filter refuses, is listed with its reason. Exit code 75: the site asked to wait and
clips are missing; what is finished is kept, so start again later.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from scripts.cut_videos import cut_clip
from udpdiff.clip import RejectedClip, Rejection
from udpdiff.progress import progress
from udpdiff.sources.fetching import Fetch, FetchSettings, Throttled, load_fetch
from udpdiff.sources.filters import FilterSettings
from udpdiff.sources.videos import printable
from udpdiff.storage.digests import digest
from udpdiff.storage.shards import ShardWriter

LATER = 75
# Clips in a row that the site asked to wait for, after which nothing more is asked of it.
PATIENCE_CLIPS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", required=True, choices=["train", "evaluation"])
    parser.add_argument("--shard", required=True, type=int)
    parser.add_argument(
        "--settings", required=True, type=json.loads, help="json: seed, source, clips, filters, panda70m"
    )
    parser.add_argument("--fetching", required=True, type=json.loads, help="json: fetch, rate_limit, cookies, attempts")
    parser.add_argument("--chosen", required=True)
    parser.add_argument("--clips", required=True)
    arguments = parser.parse_args()

    told, how = arguments.settings, arguments.fetching
    size = {key: told["clips"][key] for key in ("height", "width", "num_frames", "fps")}
    options = FetchSettings(told["panda70m"]["height"], how["rate_limit"], how["cookies"])
    get = partial(fetch_patiently, load_fetch(how["fetch"]), options=options, attempts=how["attempts"])
    cut = partial(cut_clip, size=size, thresholds=FilterSettings(**told["filters"]))
    wanted, candidates = shard_candidates(arguments.chosen, arguments.split, arguments.shard, told["clips"])
    attrs = size | {"source": "panda70m", "settings": told, "chosen": digest([clip["clip_id"] for clip in candidates])}
    with ShardWriter(arguments.clips, "clips", attrs, resume=True) as shard:
        throttled = fill(shard, wanted, candidates, get, cut)
        if shard.added < wanted and throttled:
            print(
                f"{shard.added} of {wanted} clips; {len(throttled)} were throttled: start again later.", file=sys.stderr
            )
            sys.exit(LATER)
        for clip_id, words in throttled.items():
            shard.reject(clip_id, printable(Rejection.THROTTLED.because(words)))
        if shard.added < wanted:
            print(
                f"Only {shard.added} of {wanted} clips: the reserve is used up; raise panda70m.reserve.",
                file=sys.stderr,
            )


def shard_candidates(chosen: str, split: str, shard: int, clips: dict) -> tuple[int, list[dict]]:
    """How many clips the shard shall hold, and those to try: its own, then its share of the reserve."""
    import pandas as pd

    table = pd.read_parquet(chosen)
    rows = table[table["split"] == split].to_dict("records")
    count, per_shard = clips[split], clips["shard_clips"]
    own = rows[:count][shard * per_shard : (shard + 1) * per_shard]
    return len(own), own + rows[count:][shard :: -(-count // per_shard)]


def fill(shard: ShardWriter, wanted: int, candidates: list[dict], get: Callable, cut: Callable) -> dict[str, str]:
    """Add or reject one candidate after the other until the shard holds as many clips as wanted.

    get(clip, file) fetches a clip, cut(file) makes mp4 bytes, scores and reasons against it. Returns the clips that the
    site asked to wait for, and its words; after several in a row no more are tried.
    """
    throttled, in_a_row = {}, 0
    for clip in progress(candidates, "clips"):
        if shard.added >= wanted or in_a_row >= PATIENCE_CLIPS:
            break
        clip_id, scores = clip["clip_id"], None
        if clip_id in shard.done:
            continue
        try:
            with tempfile.TemporaryDirectory() as folder:
                get(clip, file := Path(folder) / "clip.mp4")
                encoded, scores, reasons = cut(file)
        except Throttled as fault:
            throttled[clip_id], in_a_row = str(fault), in_a_row + 1
            print(f"{clip_id}: throttled: {printable(str(fault))}", file=sys.stderr)
            continue
        except RejectedClip as rejected:
            reasons = [str(rejected)]
        in_a_row = 0
        if reasons:
            shard.reject(clip_id, printable("; ".join(reasons)), scores)
        else:
            words = {"brief": " ".join(clip["caption"].split()), "detailed": "", "source_id": clip["video_id"]}
            shard.add(clip_id, {"video_mp4": encoded} | words, scores)
    return throttled


def fetch_patiently(fetch: Fetch, clip: dict, file: Path, options: FetchSettings, attempts: int) -> None:
    """Fetch a clip's time range, waiting longer each time the site asks to; Throttled after the last attempt."""
    for attempt in range(attempts):
        try:
            fetch(clip["url"], clip["start"], clip["end"], file, options)
        except Throttled:
            if attempt + 1 == attempts:
                raise
            time.sleep(2.0**attempt)
        else:
            if not file.is_file():
                raise RejectedClip(Rejection.NOT_FETCHED, "no file came")
            return


if __name__ == "__main__":
    main()
