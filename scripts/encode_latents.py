"""Encodes one stream of one shard with the VAE: videos, depth colormaps, or K colourings of entity colormaps."""

from __future__ import annotations

import argparse
import json

import numpy as np

from scripts.failures import Failures
from scripts.progress import progress
from udpdiff.checkpoints import resolve
from udpdiff.model import latents as vae_latents
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
    arguments = parser.parse_args()

    told, kind = arguments.settings, arguments.stream.partition("-")[0]
    vae = vae_latents.load_vae(resolve(told["base"]), told["device"])
    attrs = {"stream": arguments.stream, "vae": told["base"], "scaling_factor": vae.config.scaling_factor}
    with ShardReader(arguments.source) as source:
        attrs |= {"settings": told, "source": source.sha256}
        failures = Failures(len(source), told["max_failed_share"])
        with ShardWriter(arguments.latents, "latents", attrs, resume=True) as shard:
            for rejected in source.rejected:
                if rejected["clip_id"] not in shard.done:
                    shard.reject(rejected["clip_id"], rejected["reason"])
            # Batches are of equal clips after a restart too: how clips are batched may show in the last bits.
            starts = range(0, len(source), told["batch_clips"])
            for start in progress(starts, f"batches of {arguments.stream} latents"):
                batch = source.clip_ids[start : start + told["batch_clips"]]
                if shard.done.issuperset(batch):
                    continue
                for clip_id, latents in encode_batch(vae, source, batch, kind, told, failures).items():
                    if clip_id not in shard.done:
                        shard.add(clip_id, {"latents": latents})
            failures.list_in(shard)


def encode_batch(
    vae, source: ShardReader, clip_ids: list[str], kind: str, told: dict, failures: Failures
) -> dict[str, np.ndarray]:
    """Latents of each clip, float16 (F, C, h, w), or (K, F, C, h, w) for entities; clips that fail are left out."""
    pictures = {}
    for clip_id in clip_ids:
        with failures.caught(clip_id):
            pictures[clip_id] = colormaps(kind, clip_id, source, told)
    if not pictures:
        return {}
    encoded = vae_latents.encode_videos(vae, np.concatenate(list(pictures.values()))).astype(np.float16)
    ends = np.cumsum([len(maps) for maps in pictures.values()])
    parts = np.split(encoded, ends[:-1])
    return {
        clip_id: part[0] if kind in ("video", "depth") else part for clip_id, part in zip(pictures, parts, strict=True)
    }


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
