"""Encodes one stream of one shard with the VAE: videos, depth colormaps, or K colourings of entity colormaps."""

from __future__ import annotations

import argparse
import itertools
import json
from functools import partial

import numpy as np

from scripts.job_timing import JobTiming
from scripts.progress import progress
from udpdiff.checkpoints import resolve
from udpdiff.model import latents as vae_latents
from udpdiff.overlap import ahead
from udpdiff.representations import location_colormap, pixelplanes, spectral
from udpdiff.storage.digests import digest
from udpdiff.storage.shards import ShardReader, ShardWriter
from udpdiff.video_io import decode_mp4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stream", required=True, help="video, depth-NAME, pixelplanes-NAME or location-NAME")
    parser.add_argument("--settings", required=True, type=json.loads, help="json: base, colourings, seed...")
    parser.add_argument("--source", required=True, help="the shard of clips, depth or entities")
    parser.add_argument("--latents", required=True)
    parser.add_argument("--timing", help="json file: how fast it went")
    arguments = parser.parse_args()

    told, kind = arguments.settings, arguments.stream.partition("-")[0]
    vae = vae_latents.load_vae(resolve(told["base"]), told["device"])
    attrs = {"stream": arguments.stream, "vae": told["base"], "scaling_factor": vae.config.scaling_factor}
    attrs["settings"] = told
    with (
        ShardReader(arguments.source) as source,
        ShardWriter(arguments.latents, "latents", attrs) as shard,
    ):
        for rejected in source.rejected:
            shard.reject(rejected["clip_id"], rejected["reason"])
        one_per_clip = kind in ("video", "depth")
        readings = ((clip_id, partial(_read, source, clip_id, kind, told)) for clip_id in source.clip_ids)
        size = None
        with JobTiming() as clock, ahead(readings, told["batch_clips"] + 1) as pictures:
            todo = progress(pictures, f"{arguments.stream} latents", total=len(source))
            while batch := [(clip_id, maps.result()) for clip_id, maps in itertools.islice(todo, told["batch_clips"])]:
                size = dict(zip(("num_frames", "height", "width"), batch[0][1].shape[1:4], strict=True))
                with clock.labelling():
                    encoded = vae_latents.encode_videos(vae, np.concatenate([maps for _, maps in batch]))
                for clip_id, maps in batch:
                    own, encoded = encoded[: len(maps)], encoded[len(maps) :]
                    shard.add(clip_id, {"latents": (own[0] if one_per_clip else own).astype(np.float16)})
    if arguments.timing and size:
        clock.write(arguments.timing, f"latents/{arguments.stream}", told, size, len(source))


def _read(source: ShardReader, clip_id: str, kind: str, told: dict) -> np.ndarray:
    return colormaps(kind, clip_id, {name: source.read(clip_id, name) for name in _NEEDS[kind]}, told)


_NEEDS = {"video": ["video_mp4"], "depth": ["depth"], "pixelplanes": ["entity_ids"], "location": ["entity_ids"]}


def colormaps(kind: str, clip_id: str, data: dict, told: dict) -> np.ndarray:
    """What the VAE sees of one clip: uint8 (K, T, H, W, 3); K is 1 except for random colourings."""
    if kind == "video":
        return decode_mp4(data["video_mp4"])[None]
    if kind == "depth":
        return spectral.encode_depth(data["depth"] / np.float32(65535))[None]
    if kind == "location":
        return location_colormap.encode_entities(data["entity_ids"], grid=told["location_grid"])[None]
    rng = np.random.default_rng(int(digest([told["seed"], clip_id])[:16], 16))
    colourings = [
        pixelplanes.encode_entities(data["entity_ids"], rng, told["min_color_distance"])[0]
        for _ in range(told["colourings"])
    ]
    return np.stack(colourings)


if __name__ == "__main__":
    main()
