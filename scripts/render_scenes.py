"""Renders one shard of procedural scenes to mp4 clips, and their exact truth to a shard of its own."""

from __future__ import annotations

import argparse
import json

from udpdiff import config, preflight
from udpdiff.progress import progress
from udpdiff.sources import filters, scenes
from udpdiff.storage.shards import ShardWriter
from udpdiff.video_io import decode_mp4, encode_mp4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--split", required=True, choices=["train", "evaluation"])
    parser.add_argument("--shard", required=True, type=int)
    parser.add_argument("--settings", required=True, type=json.loads, help="json: seed, source, clips, filters")
    parser.add_argument("--clips", required=True)
    parser.add_argument("--truth", required=True)
    arguments = parser.parse_args()

    told = arguments.settings
    size = {key: told["clips"][key] for key in ("height", "width", "num_frames", "fps")}
    solids = {key: told["source"][key] for key in ("min_solids", "max_solids", "solid_size")}
    settings = scenes.SceneSettings(**size, **solids)
    names = preflight.scene_names(arguments.split, told["seed"], config.Clips(**told["clips"]))[arguments.shard]
    thresholds = filters.FilterSettings(**told["filters"])
    attrs = size | {"source": "scenes", "settings": told}
    with (
        ShardWriter(arguments.clips, "clips", attrs) as clips,
        ShardWriter(arguments.truth, "truth", attrs) as truth,
    ):
        for name in progress(names, "scenes"):
            clip = scenes.render_clip(settings, int(name.removeprefix("scene-")))
            encoded = encode_mp4(clip.video, settings.fps)
            scores = filters.score_clip(decode_mp4(encoded))
            reasons = filters.check(scores, thresholds)
            if reasons:
                clips.reject(name, "; ".join(reasons), scores)
                truth.reject(name, "; ".join(reasons))
                continue
            words = {"brief": clip.brief, "detailed": clip.detailed, "source_id": name}
            clips.add(name, {"video_mp4": encoded} | words, scores)
            exact = ("entity_ids", "z", "flow", "normals", "camera")
            truth.add(name, {key: getattr(clip, key) for key in exact} | {"scene": json.dumps(clip.scene)})


if __name__ == "__main__":
    main()
