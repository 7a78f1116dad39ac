"""Depth: disparity normalised over the clip, 1 = nearest, 0 = farthest.

A prediction is depth, float32 (T, H, W) in [0, 1]; it is stored as uint16, 65535 = nearest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from udpdiff.measures.along_motion import depth_flow_error
from udpdiff.measures.depth import DepthScore, evaluate_depth_maps, temporal_gradient_error
from udpdiff.measures.flicker import DepthFlicker, depth_flicker
from udpdiff.measures.optical_flow import FollowedFlow
from udpdiff.representations import spectral
from udpdiff.tasks.curve import Axis, Coding, Curve, CurveValues
from udpdiff.tasks.figure import Figure
from udpdiff.tasks.task import Task, TaskOptions, known

MIN_DEPTH = 0.02  # of the clip's range: nearer to 0 (farthest), a ratio of disparities has no meaning
MAX_Z = 80.0  # world units; beyond every surface of a scene
_LEVELS = 65535

_UNALIGNED = " As it is, without any fit, which the paper's own figures look like."
_FITTED = " One scale and one shift per video are fitted first."
_FIGURES = {
    "generated": (
        Figure("depth_delta1_unaligned", "δ1", "higher", 4, "Share of the pixels whose disparity is within a factor of 1.25 of the labeller's." + _UNALIGNED),
        Figure("depth_rmse_unaligned", "RMSE", "lower", 4, "Root of the mean squared difference from the labeller's disparity, both in [0, 1]." + _UNALIGNED),
        Figure("depth_abs_rel_unaligned", "AbsRel", "lower", 4, "Mean difference from the labeller's disparity as a share of it." + _UNALIGNED),
        Figure("depth_delta1", "δ1, aligned per video", "higher", 4, "Share of the pixels whose disparity is within a factor of 1.25 of the labeller's." + _FITTED),
        Figure("depth_rmse", "RMSE, aligned per video", "lower", 4, "Root of the mean squared difference from the labeller's disparity, both in [0, 1]." + _FITTED),
        Figure("depth_abs_rel", "AbsRel, aligned per video", "lower", 4, "Mean difference from the labeller's disparity as a share of it." + _FITTED),
        Figure("depth_temporal_gradient_error", "temporal gradient error", "lower", 3, "How far the changes of disparity from frame to frame are from those of the labeller's, where these are less than 5 % of the range; mean difference, in percent of the range per frame." + _FITTED, "%", 100),
        Figure("depth_flow_error", "change along the flow", "lower", 3, "How much disparity changes when a pixel is followed along the video's optical flow, in percent of the range per frame: flicker, and what truly comes closer or goes away. One depth for all is perfect here, so read it beside the labeller's own and beside δ1." + _UNALIGNED.replace(", which the paper's own figures look like", ""), "%", 100, against="motion"),
    ),
    "labels": (
        Figure("depth_delta1", "δ1", "higher", 4, "Share of the pixels whose depth is within a factor of 1.25 of the true one. Depth labels have no scale of their own, so one scale and one shift per clip are fitted first."),
        Figure("depth_abs_rel", "AbsRel", "lower", 4, "Mean error of depth as a share of the true depth, after the same fit."),
        Figure("depth_rmse", "RMSE", "lower", 3, "Root of the mean squared error, in the scenes' unit of length; a solid is about 1 to 2 units wide."),
        Figure("depth_flicker", "flicker", "lower", 2, "Follow each surface point from one frame to the next along its true motion. Flicker is how much its labelled depth changes beyond its true change, in percent of depth per frame. An error that stays with the surface does not count, an error that comes and goes does. The fit is one per clip, for estimators of single frames and of videos alike.", "%", 100),
        Figure("depth_true_change", "true change", "neither", 2, "How much the true depths change along the same motions: the flicker of labels that give each surface point one depth for good. Read flicker beside it.", "%", 100),
    ),
    "codec": (
        Figure("spectral_max_abs_error", "largest error of Spectral", "lower", 5, "Largest difference, over all pixels of all clips, between a depth in [0, 1] and what is read back from its Spectral colour.", summary="max"),
        Figure("vae_depth_delta1", "δ1 after the VAE", "higher", 4, "δ1 of the depth read from a colormap that went through the VAE, against the depth that was coloured, after one scale and shift per clip."),
    ),
    "labeller": (),
}  # fmt: skip
_CURVE = Curve(
    Figure("depth_codec_error", "mean error of depth", "lower", 4, "Mean difference between a depth in [0, 1] and what is read back from its colour, without any fit."),
    {"depth": Axis("depth, 0 farthest, 1 nearest", (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.001))},
)  # fmt: skip


class Depth(Task):
    """Depth as the Spectral colormap."""

    name = "depth"
    phrase = "depth estimation"
    legend = "near is blue"
    labels = "depth"
    dataset = "depth"
    colormaps = ("spectral",)
    figures = _FIGURES
    main_figure = "depth_delta1"
    curve = _CURVE
    ceilings: ClassVar = {"depth_delta1": "vae_depth_delta1"}
    has_constant = True
    is_continuous = True

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

    def compare(self, prediction: np.ndarray, reference: np.ndarray) -> dict[str, float]:
        """`depth_delta1`, `depth_rmse`, `depth_abs_rel` after one scale and shift per clip; `..._unaligned` as they are.

        `depth_temporal_gradient_error`, after the same fit, of clips of two frames and more that have a range.
        """
        if not _has_depth(reference):
            return {}
        figures = {}
        for alignment, suffix in (("video", ""), ("none", "_unaligned")):
            score = evaluate_depth_maps(prediction, reference, alignment=alignment, min_value=MIN_DEPTH)
            figures |= {f"depth_{name}{suffix}": getattr(score, name) for name in ("delta1", "rmse", "abs_rel")}
            if alignment == "video":
                error = temporal_gradient_error(score.aligned, reference, min_value=MIN_DEPTH)
                figures["depth_temporal_gradient_error"] = error
        return known(figures)

    def follow(self, prediction: np.ndarray, motion: FollowedFlow) -> dict[str, float]:
        """`depth_flow_error`, share of the range per frame, where something can be followed."""
        return known({"depth_flow_error": depth_flow_error(prediction, motion)})

    def compare_with_truth(
        self, prediction: np.ndarray, truth: Mapping[str, np.ndarray], options: TaskOptions
    ) -> dict[str, float]:
        """Figures after one scale and shift per clip, fitted in disparity and scored in depth.

        `depth_delta1`, `depth_abs_rel`, `depth_rmse` (units of z); `depth_flicker` and `depth_true_change`, shares of
        depth per frame (see `measures.flicker`).
        """
        score = _score_against_truth(prediction, truth["z"])
        flicker = depth_flicker(score.aligned, truth["z"], truth["flow"], truth["entity_ids"])
        figures = {
            "depth_delta1": score.delta1,
            "depth_abs_rel": score.abs_rel,
            "depth_rmse": score.rmse,
            "depth_flicker": flicker.mean,
            "depth_true_change": flicker.true_change,
        }
        return known(figures)

    def compare_round_trip(self, prediction: np.ndarray, exact: np.ndarray, coded: np.ndarray) -> dict[str, float]:
        """`spectral_max_abs_error` without the VAE; `vae_depth_delta1` after it, where there is depth to compare."""
        figures = {"spectral_max_abs_error": float(np.abs(exact - prediction).max())}
        if _has_depth(prediction):
            figures["vae_depth_delta1"] = evaluate_depth_maps(coded, prediction, min_value=MIN_DEPTH).delta1
        return figures

    def curve_codings(self, options: TaskOptions) -> dict[str, Coding]:
        """Spectral is the only colormap of depth."""
        return {name: Coding(name.capitalize(), name, options) for name in self.colormaps}

    def curve_values(self, prediction: np.ndarray, colormap: np.ndarray, decoded: np.ndarray) -> CurveValues:
        """The error of every pixel."""
        return CurveValues({"depth": prediction.ravel()}, np.abs(decoded - prediction).ravel())

    def constant(self, mean: np.ndarray, num_frames: int, options: TaskOptions) -> np.ndarray:
        return np.broadcast_to(mean / _LEVELS, (num_frames, *mean.shape))


def _has_depth(depth: np.ndarray) -> bool:
    """Whether any pixel can be scored: labellers store a clip of one depth as zeros."""
    return bool((depth > MIN_DEPTH).any())


def _score_against_truth(depth: np.ndarray, z: np.ndarray) -> DepthScore:
    return evaluate_depth_maps(depth, z, domain="depth", max_value=MAX_Z)


def aligned_to_truth(depth: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return depth in [0, 1], 1 = near, as distances in the units of z, float64 (T, H, W)."""
    return _score_against_truth(depth, z).aligned


def flicker_against_truth(depth: np.ndarray, z: np.ndarray, flow: np.ndarray, entity_ids: np.ndarray) -> DepthFlicker:
    """Return the flicker of depth in [0, 1], 1 = near, after the alignment that its other figures have."""
    return depth_flicker(aligned_to_truth(depth, z), z, flow, entity_ids)
