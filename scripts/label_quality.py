"""Measures the labels of the evaluation scenes against their exact truth."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from udpdiff.metrics.bootstrap import bootstrap_mean
from udpdiff.metrics.depth import evaluate_depth_maps
from udpdiff.metrics.evaluate import entry
from udpdiff.metrics.segmentation import tube_mean_iou
from udpdiff.sources.ray_casting import FIRST_SOLID_ID
from udpdiff.storage.shards import ShardReader

MIN_ENTITY_PIXELS = 12
MAX_Z = 80.0  # world units; beyond every surface of a scene


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, help="json: seed, metrics")
    parser.add_argument("--truth", required=True, nargs="+")
    parser.add_argument("--entities", required=True, nargs="+")
    parser.add_argument("--depth", required=True, nargs="+")
    parser.add_argument("--quality", required=True, type=Path)
    arguments = parser.parse_args()

    values: dict[str, list[float]] = {}
    for truth_path, entities_path, depth_path in zip(arguments.truth, arguments.entities, arguments.depth, strict=True):
        with ShardReader(truth_path) as truth, ShardReader(entities_path) as entities, ShardReader(depth_path) as depth:
            labelled = set(entities.clip_ids)
            for clip_id, exact in truth.items(["entity_ids", "z"]):
                # A clip whose labels were refused is in no training set; it counts as refused, not as bad.
                values.setdefault("refused_share", []).append(float(clip_id not in labelled))
                if clip_id in labelled:
                    for name, value in entity_figures(
                        entities.read(clip_id, "entity_ids"), exact["entity_ids"]
                    ).items():
                        values.setdefault(name, []).append(value)
                estimate = depth.read(clip_id, "depth") / np.float32(65535)
                for name, value in depth_figures(estimate, exact["z"]).items():
                    values.setdefault(name, []).append(value)
    told = arguments.settings
    options = {"resamples": told["metrics"]["bootstrap_samples"], "seed": told["seed"]}
    metrics = {name: entry(bootstrap_mean(found, **options), "exact truth", found) for name, found in values.items()}
    arguments.quality.write_text(json.dumps({"metrics": metrics}, indent=1) + "\n")


def entity_figures(entity_ids: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Mean IoU of whole-clip tubes, matched one to one, over true entities; and over the solids among them alone."""
    solids = np.where(truth >= FIRST_SOLID_ID, truth, 0)
    figures = {"entity_miou": tube_mean_iou(entity_ids, truth, min_pixels=MIN_ENTITY_PIXELS).mean}
    if (np.bincount(solids.ravel())[1:] >= MIN_ENTITY_PIXELS).any():
        figures["solid_miou"] = tube_mean_iou(entity_ids, solids, min_pixels=MIN_ENTITY_PIXELS).mean
    return figures | {"coverage": float((entity_ids > 0).mean())}


def depth_figures(depth: np.ndarray, z: np.ndarray) -> dict[str, float]:
    """Accuracy after one scale and shift per clip, fitted in disparity and scored in depth."""
    score = evaluate_depth_maps(depth, z, domain="depth", max_value=MAX_Z)
    return {"depth_delta1": score.delta1, "depth_abs_rel": score.abs_rel, "depth_rmse": score.rmse}


if __name__ == "__main__":
    main()
