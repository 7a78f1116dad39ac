"""Measures what the representations lose by themselves, and what the VAE loses on top, on the evaluation labels."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from scripts.progress import progress
from udpdiff.checkpoints import resolve
from udpdiff.metrics.bootstrap import Estimate, bootstrap_mean
from udpdiff.metrics.depth import evaluate_depth_maps
from udpdiff.metrics.evaluate import entry
from udpdiff.metrics.evaluate_dense import MIN_DEPTH, MIN_ENTITY_PIXELS
from udpdiff.metrics.segmentation import tube_mean_iou
from udpdiff.model import latents as vae_latents
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
        for path in paths:
            with ShardReader(path) as shard:
                for clip_id, data in progress(shard.items(), f"{kind} codec", total=len(shard)):
                    measure = entity_codec if kind == "entities" else depth_codec
                    for name, value in measure(vae, clip_id, data, told).items():
                        values.setdefault(name, []).append(value)
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


def through_vae(vae, colormap: np.ndarray) -> np.ndarray:
    """A colormap uint8 (T, H, W, 3), encoded and decoded."""
    return vae_latents.decode_latents(vae, vae_latents.encode_videos(vae, colormap[None]))[0]


def entity_codec(vae, clip_id: str, data: dict, told: dict) -> dict[str, float]:
    """Share of pixels that come back exactly without the VAE, and tube IoU with it."""
    ids = data["entity_ids"]
    rng = np.random.default_rng(int(digest([told["seed"], clip_id])[:16], 16))
    colormap, _ = pixelplanes.encode_entities(ids, rng, told["encoding"]["min_color_distance"])
    decoded = decode_entities(through_vae(vae, colormap))
    return {
        "pixelplanes_exact_share": exact_share(decode_entities(colormap), ids),
        "vae_entity_miou": tube_mean_iou(decoded, ids, min_pixels=MIN_ENTITY_PIXELS).mean,
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


def depth_codec(vae, clip_id: str, data: dict, told: dict) -> dict[str, float]:
    """Largest error without the VAE, and delta1 after it, depth in [0, 1]."""
    depth = data["depth"] / np.float32(65535)
    colormap = spectral.encode_depth(depth)
    decoded = spectral.decode_depth(through_vae(vae, colormap))
    return {
        "spectral_max_abs_error": float(np.abs(spectral.decode_depth(colormap) - depth).max()),
        "vae_depth_delta1": evaluate_depth_maps(decoded, depth, min_value=MIN_DEPTH).delta1,
    }


if __name__ == "__main__":
    main()
