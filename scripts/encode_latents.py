"""Encodes one stream of one shard with the VAE: videos, depth colormaps, or K colourings of entity colormaps."""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterable
from concurrent.futures import Future
from functools import partial

import numpy as np

from udpdiff.background import in_background
from udpdiff.checkpoints import resolve
from udpdiff.job_timing import JobTiming
from udpdiff.model import latents as vae_latents
from udpdiff.progress import progress
from udpdiff.representations import location_colormap, pixelplanes, spectral
from udpdiff.storage.digests import digest
from udpdiff.storage.failures import Failures
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
    with ShardReader(arguments.source) as source:
        attrs |= {"settings": told, "source": source.sha256}
        failures = Failures(len(source), told["max_failed_share"])
        with ShardWriter(arguments.latents, "latents", attrs, resume=True) as shard, JobTiming() as clock:
            for rejected in source.rejected:
                if rejected["clip_id"] not in shard.done:
                    shard.reject(rejected["clip_id"], rejected["reason"])
            batches = shard.unfinished(source.clip_ids, told["batch_clips"])
            size = None
            drawings = (
                (clip_id, partial(colormaps, kind, clip_id, source, told)) for ids in batches for clip_id in ids
            )
            with in_background(drawings, told["batch_clips"] + 1) as drawn:
                for clip_ids in progress(batches, f"batches of {arguments.stream} latents"):
                    maps = succeeded(itertools.islice(drawn, len(clip_ids)), failures)
                    if not maps:
                        continue
                    shape = next(iter(maps.values())).shape
                    size = dict(zip(("num_frames", "height", "width"), shape[1:4], strict=True))
                    with clock.labelling():
                        encoded = encode_maps(vae, maps, kind)
                    for clip_id, latents in encoded.items():
                        if clip_id not in shard.done:
                            shard.add(clip_id, {"latents": latents})
            failures.list_in(shard)
        if arguments.timing and size:
            clock.write(arguments.timing, f"latents/{arguments.stream}", told, size, sum(map(len, batches)))


def succeeded(drawn: Iterable[tuple[str, Future[np.ndarray]]], failures: Failures) -> dict[str, np.ndarray]:
    """The colormaps by clip, without the clips that failed."""
    maps = {}
    for clip_id, future in drawn:
        with failures.caught(clip_id):
            maps[clip_id] = future.result()
    return maps


def encode_maps(vae, maps: dict[str, np.ndarray], kind: str) -> dict[str, np.ndarray]:
    """Latents of each clip, float16 (F, C, h, w), or (K, F, C, h, w) for entities, from uint8 (K, T, H, W, 3)."""
    encoded = vae_latents.encode_videos(vae, np.concatenate(list(maps.values()))).astype(np.float16)
    parts = np.split(encoded, np.cumsum([len(own) for own in maps.values()])[:-1])
    return {clip_id: part[0] if kind in ("video", "depth") else part for clip_id, part in zip(maps, parts, strict=True)}


def colormaps(kind: str, clip_id: str, source: ShardReader, told: dict) -> np.ndarray:
    """What the VAE sees of one clip: uint8 (K, T, H, W, 3); K is 1 except for random colourings."""
    if kind == "video":
        return decode_mp4(source.read(clip_id, "video_mp4"))[None]
    if kind == "depth":
        return spectral.encode_depth(source.read(clip_id, "depth") / np.float32(65535))[None]
    entity_ids = source.read(clip_id, "entity_ids")
    if kind == "location":
        return location_colormap.encode_entities(entity_ids, grid=told["location_grid"])[None]
    rng = np.random.default_rng(int(digest([told["seed"], clip_id])[:16], 16))
    colourings = [
        pixelplanes.encode_entities(entity_ids, rng, told["min_color_distance"])[0] for _ in range(told["colourings"])
    ]
    return np.stack(colourings)


if __name__ == "__main__":
    main()
