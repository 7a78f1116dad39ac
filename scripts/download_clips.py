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
from pathlib import Path

from scripts.cut_videos import cut_clip
from scripts.progress import progress
from udpdiff.clip import RejectedClip, Rejection
from udpdiff.sources.fetching import FetchSettings, Throttled, load_fetch
from udpdiff.sources.filters import FilterSettings
from udpdiff.storage.shards import ShardWriter

LATER = 75


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", required=True, choices=["train", "evaluation"])
    parser.add_argument("--shard", required=True, type=int)
    parser.add_argument(
        "--settings", required=True, type=json.loads, help="json: seed, source, clips, filters, panda70m"
    )
    parser.add_argument("--chosen", required=True)
    parser.add_argument("--clips", required=True)
    arguments = parser.parse_args()

    told, panda = arguments.settings, arguments.settings["panda70m"]
    size = {key: told["clips"][key] for key in ("height", "width", "num_frames", "fps")}
    thresholds, fetch = FilterSettings(**told["filters"]), load_fetch(panda["fetch"])
    options = FetchSettings(**{key: panda[key] for key in ("height", "rate_limit", "cookies")})
    wanted, candidates = shard_candidates(arguments.chosen, arguments.split, arguments.shard, told["clips"])
    throttled = 0
    attrs = size | {"source": "panda70m", "settings": told}
    with ShardWriter(arguments.clips, "clips", attrs, resume=True) as shard, tempfile.TemporaryDirectory() as folder:
        for clip in progress(candidates, "clips"):
            if shard.added >= wanted:
                break
            if clip["clip_id"] in shard.done:
                continue
            words = {"brief": " ".join(clip["caption"].split()), "detailed": "", "source_id": clip["video_id"]}
            scores = None
            try:
                file = Path(folder) / f"{clip['clip_id']}.mp4"
                fetch_patiently(fetch, clip, file, options, panda["attempts"])
                encoded, scores, reasons = cut_clip(file, size, thresholds)
                file.unlink()
            except Throttled as fault:
                print(f"{clip['clip_id']}: throttled: {fault}", file=sys.stderr)
                throttled += 1
                continue
            except RejectedClip as rejected:
                reasons = [str(rejected)]
            if reasons:
                shard.reject(clip["clip_id"], "; ".join(reasons), scores)
            else:
                shard.add(clip["clip_id"], {"video_mp4": encoded} | words, scores)
        if shard.added < wanted and throttled:
            print(f"{shard.added} of {wanted} clips; {throttled} were throttled: start again later.", file=sys.stderr)
            sys.exit(LATER)
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


def fetch_patiently(fetch, clip: dict, file: Path, options: FetchSettings, attempts: int) -> None:
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
