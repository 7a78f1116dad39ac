"""How well and how steadily a depth estimator sees held-out scenes; knows nothing of how it was made."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from udpdiff.checkpoints.scene_cache import disparity
from udpdiff.checkpoints.scene_maps import SceneMaps
from udpdiff.measures.depth import evaluate_depth_maps, fit_scale_and_shift

MAX_Z = 80.0  # world units; beyond every surface of a scene
STILL = 0.002  # of the truth's range: a pixel that changes less than this between two frames stands still


def measure(estimate: Callable[[np.ndarray], np.ndarray], scenes: SceneMaps, num_clips: int) -> dict[str, float]:
    """Accuracy as of the workflow's labels, and unsteadiness, of depth estimated from videos (T, H, W, 3) uint8.

    delta1_acc, abs_rel: in metric depth, after one scale and shift per clip, fitted in disparity. temporal_error,
    flicker: see there. true_change: the temporal error of a picture that stands still. core_seconds_per_clip: processor
    time of the estimate.
    """
    rows, seconds = [], 0.0
    for video, z in zip(scenes.video[:num_clips], scenes.z[:num_clips], strict=True):
        metric, started = z.astype(np.float64), time.process_time()
        depth = estimate(np.array(video))  # a copy: torch dislikes read-only maps
        seconds += time.process_time() - started
        score, truth = evaluate_depth_maps(depth, metric, domain="depth", max_value=MAX_Z), disparity(metric)
        rows.append(
            {
                "delta1_acc": score.delta1,
                "abs_rel": score.abs_rel,
                "temporal_error": temporal_error(depth, truth),
                "flicker": flicker(depth, truth),
                "true_change": np.abs(np.diff(truth, axis=0)).mean(),
            }
        )
    means = {name: round(float(np.mean([row[name] for row in rows])), 4) for name in rows[0]}
    return means | {"core_seconds_per_clip": round(seconds / len(rows), 3)}


def temporal_error(depth: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute difference between how depth changes from frame to frame and how the truth does.

    Both (T, H, W), 1 = nearest, the truth spanning [0, 1]; depth is first brought to the truth's scale by one scale and
    shift over the clip.
    """
    return float(np.abs(_change(depth, truth) - np.diff(truth, axis=0)).mean())


def flicker(depth: np.ndarray, truth: np.ndarray) -> float:
    """Mean absolute change of depth from frame to frame where the truth stands still; arguments as above.

    0 where nothing stands still.
    """
    still = np.abs(np.diff(truth, axis=0)) < STILL
    return float(np.abs(_change(depth, truth)[still]).mean()) if still.any() else 0.0


def _change(depth: np.ndarray, truth: np.ndarray) -> np.ndarray:
    scale, _ = fit_scale_and_shift(depth.ravel(), truth.ravel())
    return np.diff(scale * depth, axis=0)
