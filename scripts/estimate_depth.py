"""Estimates the depth of one shard of clips, normalised over each clip, near = 1."""

from __future__ import annotations

import argparse
import json

import numpy as np

from scripts.progress import progress
from udpdiff.labelling.depth_anything import DepthAnything
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.video_io import decode_mp4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, help="json: checkpoint, batch_frames, normalise")
    parser.add_argument("--clips", required=True)
    parser.add_argument("--depth", required=True)
    arguments = parser.parse_args()

    told = arguments.settings
    estimator = DepthAnything.from_pretrained(told["checkpoint"], device=told["device"])
    with (
        ShardReader(arguments.clips) as clips,
        ShardWriter(arguments.depth, "depth", {"settings": told}) as shard,
    ):
        for clip_id, data in progress(clips.items(["video_mp4"]), "depth", total=len(clips)):
            video = decode_mp4(data["video_mp4"])
            depth = estimator.estimate(video, batch_size=told["batch_frames"], normalise=told["normalise"])
            shard.add(clip_id, {"depth": np.round(depth * 65535).astype(np.uint16)})


if __name__ == "__main__":
    main()
