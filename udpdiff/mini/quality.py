"""How well labellers see held-out scenes, by the project's measures; knows nothing of how a labeller was made."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from udpdiff.measures.depth import evaluate_depth_maps
from udpdiff.measures.flicker import depth_flicker
from udpdiff.measures.segmentation import tube_mean_iou
from udpdiff.measures.tube_detection import tube_detection
from udpdiff.sources.ray_casting import FIRST_SOLID_ID
from udpdiff.sources.scenes import SceneClip

MIN_ENTITY_PIXELS = 12  # smaller true entities are a few stray pixels
MAX_Z = 80.0  # world units; beyond every surface of a scene


def entity_quality(predictions: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Entities of images or clips, ids (B, H, W) or (B, T, H, W), each judged alone, against true ones.

    Returns:
        iou, iou_solids: mean IoU of a true entity, matched one to one, a missed one counting 0, over all entities and
        over solids. precision, recall: over all, at IoU 0.5.
    """
    ious, solids, found = [], [], np.zeros(3)
    for predicted, true in zip(predictions, truth, strict=True):
        predicted, true = (ids.reshape(-1, *ids.shape[-2:]) for ids in (predicted, true))
        scores = tube_mean_iou(predicted, true, min_pixels=MIN_ENTITY_PIXELS).per_entity
        ious += scores.values()
        solids += [score for entity_id, score in scores.items() if entity_id >= FIRST_SOLID_ID]
        hits = tube_detection(predicted, true, min_pixels=MIN_ENTITY_PIXELS)
        found += (hits.matched, hits.spurious, hits.missed)
    matched, spurious, missed = found
    return {
        "iou": float(np.mean(ious)),
        "iou_solids": float(np.mean(solids)),
        "precision": float(matched / max(matched + spurious, 1)),
        "recall": float(matched / max(matched + missed, 1)),
    }


def depth_quality(estimate: Callable[[np.ndarray], np.ndarray], clips: list[SceneClip]) -> dict[str, float]:
    """Accuracy and unsteadiness of depth estimated from videos uint8 (T, H, W, 3): float (T, H, W), 1 = nearest.

    Returns:
        delta1_acc, abs_rel, rmse: in metric depth, after one scale and shift per clip, fitted in disparity. flicker,
        true_change: see `flicker`. core_seconds_per_clip: processor time of the estimate.
    """
    rows, seconds = [], 0.0
    for clip in clips:
        started = time.process_time()
        depth = estimate(clip.video)
        seconds += time.process_time() - started
        score = evaluate_depth_maps(depth, clip.z, domain="depth", max_value=MAX_Z)
        flicker = depth_flicker(score.aligned, clip.z, clip.flow, clip.entity_ids)
        rows.append((score.delta1, score.abs_rel, score.rmse, flicker.mean, flicker.true_change))
    names = ("delta1_acc", "abs_rel", "rmse", "flicker", "true_change")
    means = dict(zip(names, map(float, np.nanmean(rows, axis=0)), strict=True))
    return means | {"core_seconds_per_clip": seconds / len(clips)}
