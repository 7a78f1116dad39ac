"""Cuts one shard of clips from a folder of video files: frames, fps and size as configured, filtered, captioned."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from udpdiff import config, preflight
from udpdiff.clip import RejectedClip, Rejection
from udpdiff.progress import progress
from udpdiff.sources import captions_csv, filters, splits, videos
from udpdiff.storage.shards import ShardWriter
from udpdiff.video_io import decode_mp4, encode_mp4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", required=True, choices=["train", "evaluation"])
    parser.add_argument("--shard", required=True, type=int)
    parser.add_argument("--settings", required=True, type=json.loads, help="json: seed, source, clips, filters")
    parser.add_argument("--clips", required=True)
    arguments = parser.parse_args()

    told = arguments.settings
    size = {key: told["clips"][key] for key in ("height", "width", "num_frames", "fps")}
    folder = Path(told["source"]["path"])
    files = [path.name for path in videos.list_videos(folder)]
    # Without a csv a captioner writes the captions.
    named = told["source"]["captions"]
    captions = captions_csv.read_captions(named, files) if named else dict.fromkeys(files, "")
    names = preflight.video_names(files, told["seed"], config.Clips(**told["clips"]))[arguments.split][arguments.shard]
    thresholds = filters.FilterSettings(**told["filters"])
    with ShardWriter(arguments.clips, "clips", size | {"source": "videos", "settings": told}) as clips:
        for name in progress(names, "clips"):
            scores = None
            try:
                if name not in captions:
                    raise RejectedClip(Rejection.NO_CAPTION)
                encoded, scores, reasons = cut_clip(folder / name, size, thresholds)
            except RejectedClip as rejected:
                reasons = [str(rejected)]
            if reasons:
                clips.reject(videos.printable(name), "; ".join(reasons), scores)
                continue
            words = {"brief": captions[name], "detailed": "", "source_id": splits.source_of(name)}
            clips.add(videos.printable(name), {"video_mp4": encoded} | words, scores)


def cut_clip(path: Path, size: dict, thresholds: filters.FilterSettings) -> tuple[bytes, dict[str, float], list[str]]:
    """The middle of a video file as a clip: mp4 bytes, its scores, and why filters refuse it. Raises RejectedClip."""
    encoded = encode_mp4(videos.read_clip(path, **size), size["fps"])
    scores = filters.score_clip(decode_mp4(encoded))
    return encoded, scores, filters.check(scores, thresholds)


if __name__ == "__main__":
    main()
