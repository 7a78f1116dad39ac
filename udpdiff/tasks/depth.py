"""Depth: disparity normalised over the clip, 1 = nearest, 0 = farthest.

A prediction is depth, float32 (T, H, W) in [0, 1]; it is stored as uint16, 65535 = nearest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from udpdiff.measures.depth import align_depth_maps, evaluate_depth_maps
from udpdiff.measures.flicker import DepthFlicker, depth_flicker
from udpdiff.representations import spectral
from udpdiff.tasks.task import Figures, Task, TaskOptions

MIN_DEPTH = 0.02  # of the clip's range: nearer to 0 (farthest), a ratio of disparities has no meaning
MAX_Z = 80.0  # world units; beyond every surface of a scene
_LEVELS = 65535


class Depth(Task):
    """Depth as the Spectral colormap."""

    name = "depth"
    phrase = "depth estimation"
    legend = "near is blue"
    labels = "depth"
    dataset = "depth"
    colormaps = ("spectral",)
    main_figure = "depth_delta1"
    has_constant = True

    def from_labels(self, stored: np.ndarray, options: TaskOptions) -> np.ndarray:
        return self.from_storage(stored)

    def to_storage(self, prediction: np.ndarray) -> np.ndarray:
        return np.rint(prediction * _LEVELS).astype(np.uint16)

    def from_storage(self, stored: np.ndarray) -> np.ndarray:
        return stored / np.float32(_LEVELS)

    def encode(
        self, prediction: np.ndarray, colormap: str, options: TaskOptions, rng: np.random.Generator | None = None
    ) -> np.ndarray:
        return spectral.encode_depth(prediction)

    def decode(self, colormap: np.ndarray) -> np.ndarray:
        return spectral.decode_depth(colormap)

    def picture(self, prediction: np.ndarray) -> np.ndarray:
        """In the colours of the paper (Spectral)."""
        from matplotlib import colormaps

        return (colormaps["Spectral"](np.asarray(prediction, np.float32))[..., :3] * 255).astype(np.uint8)

    def compare(self, prediction: np.ndarray, reference: np.ndarray) -> Figures:
        """`depth_delta1`, `depth_rmse`, `depth_abs_rel` after one scale and shift per clip; `..._unaligned` as they are."""
        if not (reference > MIN_DEPTH).any():
            return {}
        figures = {}
        for alignment, suffix in (("video", ""), ("none", "_unaligned")):
            score = evaluate_depth_maps(prediction, reference, alignment=alignment, min_value=MIN_DEPTH)
            figures |= {f"depth_{name}{suffix}": getattr(score, name) for name in ("delta1", "rmse", "abs_rel")}
        return figures

    def compare_with_truth(self, prediction: np.ndarray, truth: Mapping[str, np.ndarray]) -> Figures:
        """Figures after one scale and shift per clip, fitted in disparity and scored in depth.

        `depth_delta1`, `depth_abs_rel`, `depth_rmse` (units of z); `depth_flicker` and `depth_true_change`, shares of
        depth per frame (see `measures.flicker`).
        """
        z = truth["z"]
        score = evaluate_depth_maps(prediction, z, domain="depth", max_value=MAX_Z)
        flicker = flicker_against_truth(prediction, z, truth["flow"], truth["entity_ids"])
        figures = {
            "depth_delta1": score.delta1,
            "depth_abs_rel": score.abs_rel,
            "depth_rmse": score.rmse,
            "depth_flicker": flicker.mean,
            "depth_true_change": flicker.true_change,
        }
        return {name: value for name, value in figures.items() if not math.isnan(value)}

    def compare_round_trip(self, prediction: np.ndarray, exact: np.ndarray, coded: np.ndarray) -> Figures:
        """`spectral_max_abs_error` without the VAE; `vae_depth_delta1` after it."""
        return {
            "spectral_max_abs_error": float(np.abs(exact - prediction).max()),
            "vae_depth_delta1": evaluate_depth_maps(coded, prediction, min_value=MIN_DEPTH).delta1,
        }

    def constant(self, mean: np.ndarray, num_frames: int, options: TaskOptions) -> np.ndarray:
        return np.broadcast_to(mean / _LEVELS, (num_frames, *mean.shape))


def aligned_to_truth(depth: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return depth in [0, 1], 1 = near, as distances in the units of z, float64 (T, H, W)."""
    return align_depth_maps(depth, z, domain="depth", max_value=MAX_Z)


def flicker_against_truth(depth: np.ndarray, z: np.ndarray, flow: np.ndarray, entity_ids: np.ndarray) -> DepthFlicker:
    """Return the flicker of depth in [0, 1], 1 = near, after the alignment that its other figures have."""
    return depth_flicker(aligned_to_truth(depth, z), z, flow, entity_ids)
