"""Measures what the representations lose by themselves, and what the VAE loses on top, on the evaluation labels."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from udpdiff.checkpoints import resolve
from udpdiff.measures.depth import evaluate_depth_maps
from udpdiff.measures.segmentation import tube_mean_iou
from udpdiff.metrics.bootstrap import Estimate, bootstrap_mean
from udpdiff.metrics.evaluate import entry
from udpdiff.metrics.evaluate_dense import MIN_DEPTH, MIN_ENTITY_PIXELS
from udpdiff.model import latents as vae_latents
from udpdiff.progress import progress
from udpdiff.representations import pixelplanes, spectral
from udpdiff.representations.entity_decoding import decode_entities
from udpdiff.storage.digests import digest
from udpdiff.storage.shards import ShardReader


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--settings", required=True, type=json.loads, help="json: seed, metrics, encoding, model, labels"
    )
    parser.add_argument("--entities", required=True, nargs="+")
    parser.add_argument("--depth", required=True, nargs="+")
    parser.add_argument("--quality", required=True, type=Path)
    arguments = parser.parse_args()

    told = arguments.settings
    vae = vae_latents.load_vae(resolve(told["model"]["base"]), told["labels"]["device"])
    values: dict[str, list[float]] = {}
    for kind, paths in (("entities", arguments.entities), ("depth", arguments.depth)):
        measure = entity_codec if kind == "entities" else depth_codec
        for path in paths:
            with ShardReader(path) as shard:
                for clip_ids in progress(batches(shard.clip_ids, told["encoding"]["batch_clips"]), f"{kind} codec"):
                    for name, found in measure(vae, shard, clip_ids, told).items():
                        values.setdefault(name, []).extend(found)
    options = {"resamples": told["metrics"]["bootstrap_samples"], "seed": told["seed"]}
    metrics = {
        name: entry(bootstrap_mean(found, **options), told["model"]["base"], found) for name, found in values.items()
    }
    # A largest error has no mean: it is the worst over all clips.
    worst = values["spectral_max_abs_error"]
    metrics["spectral_max_abs_error"] = entry(
        Estimate(max(worst), float("nan"), float("nan"), len(worst)), "no VAE", worst
    )
    arguments.quality.write_text(json.dumps({"metrics": metrics}, indent=1) + "\n")


def batches(clip_ids: list[str], size: int) -> list[list[str]]:
    return [clip_ids[start : start + size] for start in range(0, len(clip_ids), size)]


def through_vae(vae, colormaps: list[np.ndarray]) -> np.ndarray:
    """Colormaps of one size, uint8 (T, H, W, 3) each, encoded and decoded together: (B, T, H, W, 3)."""
    return vae_latents.decode_latents(vae, vae_latents.encode_videos(vae, np.stack(colormaps)))


def entity_codec(vae, shard: ShardReader, clip_ids: list[str], told: dict) -> dict[str, list[float]]:
    """Share of pixels that come back exactly without the VAE, and tube IoU with it, of each clip."""
    truths = [shard.read(clip_id, "entity_ids") for clip_id in clip_ids]
    generators = [np.random.default_rng(int(digest([told["seed"], clip_id])[:16], 16)) for clip_id in clip_ids]
    colormaps = [
        pixelplanes.encode_entities(ids, rng, told["encoding"]["min_color_distance"])[0]
        for ids, rng in zip(truths, generators, strict=True)
    ]
    decoded = [decode_entities(colormap) for colormap in through_vae(vae, colormaps)]
    return {
        "pixelplanes_exact_share": [
            exact_share(decode_entities(colormap), ids) for colormap, ids in zip(colormaps, truths, strict=True)
        ],
        "vae_entity_miou": [
            tube_mean_iou(ours, ids, min_pixels=MIN_ENTITY_PIXELS).mean
            for ours, ids in zip(decoded, truths, strict=True)
        ],
    }


def exact_share(decoded: np.ndarray, ids: np.ndarray) -> float:
    """Share of pixels whose decoded id, renamed one to one, is the encoded one; none stays none."""
    pairs, counts = np.unique(np.stack([decoded.ravel(), ids.ravel()]), axis=1, return_counts=True)
    right, renamed, taken = 0, {}, set()
    for index in np.argsort(-counts):
        new, old = (int(value) for value in pairs[:, index])
        if (new == 0) != (old == 0) or renamed.get(new, old) != old or (new not in renamed and old in taken):
            continue
        renamed[new] = old
        taken.add(old)
        right += counts[index]
    return right / ids.size


def depth_codec(vae, shard: ShardReader, clip_ids: list[str], told: dict) -> dict[str, list[float]]:
    """Largest error without the VAE, and delta1 after it, of each clip; depth in [0, 1]."""
    depths = [shard.read(clip_id, "depth") / np.float32(65535) for clip_id in clip_ids]
    colormaps = [spectral.encode_depth(depth) for depth in depths]
    decoded = [spectral.decode_depth(colormap) for colormap in through_vae(vae, colormaps)]
    return {
        "spectral_max_abs_error": [
            float(np.abs(spectral.decode_depth(colormap) - depth).max())
            for colormap, depth in zip(colormaps, depths, strict=True)
        ],
        "vae_depth_delta1": [
            evaluate_depth_maps(ours, depth, min_value=MIN_DEPTH).delta1
            for ours, depth in zip(decoded, depths, strict=True)
        ],
    }


if __name__ == "__main__":
    main()
