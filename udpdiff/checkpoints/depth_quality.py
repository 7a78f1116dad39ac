"""How well and how steadily a depth estimator sees held-out scenes; knows nothing of how it was made."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from udpdiff.checkpoints.scene_cache import disparity
from udpdiff.checkpoints.scene_maps import SceneMaps
from udpdiff.metrics.depth import evaluate_depth_maps, fit_scale_and_shift

MAX_Z = 80.0  # world units; beyond every surface of a scene


def measure(estimate: Callable[[np.ndarray], np.ndarray], scenes: SceneMaps, num_clips: int) -> dict[str, float]:
    """Accuracy as of the workflow's labels, and unsteadiness, of depth estimated from videos (T, H, W, 3) uint8.

    delta1_acc, abs_rel: in metric depth, after one scale and shift per clip, fitted in disparity. temporal_error: see
    `temporal_error`. core_seconds_per_clip: processor time of the estimate.
    """
    rows, seconds = [], 0.0
    for video, z in zip(scenes.video[:num_clips], scenes.z[:num_clips], strict=True):
        truth, started = z.astype(np.float64), time.process_time()
        depth = estimate(np.array(video))  # a copy: torch dislikes read-only maps
        seconds += time.process_time() - started
        score = evaluate_depth_maps(depth, truth, domain="depth", max_value=MAX_Z)
        rows.append((score.delta1, score.abs_rel, temporal_error(depth, disparity(truth))))
    delta1_acc, abs_rel, unsteadiness = (round(float(value), 4) for value in np.mean(rows, axis=0))
    return {
        "delta1_acc": delta1_acc,
        "abs_rel": abs_rel,
        "temporal_error": unsteadiness,
        "core_seconds_per_clip": round(seconds / len(rows), 3),
    }


def temporal_error(depth: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute difference between how depth changes from frame to frame and how the truth does.

    Both (T, H, W), 1 = nearest, the truth spanning [0, 1]; depth is first brought to the truth's scale by one scale and
    shift over the clip.
    """
    scale, _ = fit_scale_and_shift(depth.ravel(), truth.ravel())
    return float(np.abs(np.diff(scale * depth, axis=0) - np.diff(truth, axis=0)).mean())
