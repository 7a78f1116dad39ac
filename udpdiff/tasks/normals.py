"""Surface normals: which way each surface faces, in the axes of the camera (x right, y down, z forward).

A prediction is normals, float32 (T, H, W, 3), unit vectors that face the camera; they are stored as int8, 127 = 1. Their
labels are derived from those of depth, so every source of clips has them.

Source: Ranftl et al., Towards Robust Monocular Depth Estimation (disparity up to scale and shift).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from udpdiff.config_values import real
from udpdiff.measures.angles import AngularError, angular_error
from udpdiff.tasks.figure import Figure
from udpdiff.tasks.task import Task, TaskOptions

_DEPTH_LEVELS = 65535  # of the stored labels of depth
_LEVELS = 127

_FIGURES = {
    "generated": (
        Figure("normals_within_30", "normals within 30°", "higher", 4, "Share of the pixels whose normal is within 30 degrees of the one derived from the labeller's depth."),
        Figure("normals_within_22", "normals within 22.5°", "higher", 4, "The same within 22.5 degrees."),
        Figure("normals_within_11", "normals within 11.25°", "higher", 4, "The same within 11.25 degrees."),
        Figure("normals_error_degrees", "mean angle of normals", "lower", 2, "Mean angle between a pixel's normal and the one derived from the labeller's depth.", "°"),
        Figure("normals_median_degrees", "median angle of normals", "lower", 2, "Median of the same angles in a video.", "°"),
    ),
    "labels": (
        Figure("normals_error_degrees", "normals, mean angle", "lower", 2, "Mean angle between the normals derived from labelled depth and the true ones.", "°"),
        Figure("normals_within_30", "normals within 30°", "higher", 3, "Share of the pixels whose derived normal is within 30 degrees of the true one."),
        Figure("normals_ceiling_degrees", "normals, ceiling", "neither", 2, "Mean angle between the true normals and those derived, in the same way, from exact depth: what no labeller can do better than, as the field of view and the distance of the background are assumed and edges have no normal. Read the first figure beside it.", "°"),
    ),
    "codec": (
        Figure("normals_rgb_max_degrees", "largest error of normals' colours", "lower", 2, "Largest angle, over all pixels of all clips, between a normal and what is read back from its colour.", "°", summary="max"),
        Figure("vae_normals_within_30", "normals within 30° after the VAE", "higher", 4, "Share of the pixels whose normal, read from a colormap that went through the VAE, is within 30 degrees of the one that was coloured."),
    ),
    "labeller": (),
}  # fmt: skip


class NormalsOptions(TaskOptions):
    """How normals are derived from depth, which is known up to scale and shift alone.

    Attributes:
        field_of_view: Of the camera, degrees from top to bottom. The scenes are rendered with 46.
        disparity_offset: Disparity of the farthest surface, where the nearest has 1 more. Exact depth of the scenes has
            0.24 to 0.33; the larger, the flatter the world.
    """

    field_of_view: real(gt=1, lt=170) = 46.0
    disparity_offset: real(gt=0, le=100) = 0.3


class Normals(Task):
    """Surface normals as RGB."""

    name = "normals"
    phrase = "surface normal estimation"
    labels = "depth"
    dataset = "depth"
    derived = True
    colormaps = ("rgb",)
    Options = NormalsOptions
    label_options = ("field_of_view", "disparity_offset")
    legend = "by direction: red to the right, green down, blue away from the camera"
    figures = _FIGURES
    main_figure = "normals_within_30"
    ceilings: ClassVar = {"normals_within_30": "vae_normals_within_30"}
    has_constant = True
    min_depth_bits = 12  # differences of neighbours, which 8 bits turn into steps

    def from_labels(self, stored: np.ndarray, options: NormalsOptions) -> np.ndarray:
        return normals_from_depth(stored / np.float32(_DEPTH_LEVELS), options)

    def to_storage(self, prediction: np.ndarray) -> np.ndarray:
        return np.rint(prediction * _LEVELS).astype(np.int8)

    def from_storage(self, stored: np.ndarray) -> np.ndarray:
        return _unit(stored.astype(np.float32))

    def encode(
        self,
        prediction: np.ndarray,
        colormap: str,
        options: NormalsOptions,
        rng: np.random.Generator | None = None,
    ) -> np.ndarray:
        return self.picture(prediction)

    def decode(self, colormap: np.ndarray) -> np.ndarray:
        return _unit(colormap / np.float32(127.5) - 1)

    def picture(self, prediction: np.ndarray) -> np.ndarray:
        """As (n + 1) / 2: red is right, green is down, blue away from the camera."""
        return np.rint((prediction + 1) * 127.5).astype(np.uint8)

    def compare(self, prediction: np.ndarray, reference: np.ndarray) -> dict[str, float]:
        """Angles in degrees and shares within three of them; nothing where the reference is a flat wall."""
        if (reference == reference[:1, :1, :1]).all():
            return {}
        error = angular_error(prediction, reference)
        return {
            "normals_error_degrees": error.mean,
            "normals_median_degrees": error.median,
            "normals_within_11": error.within_11,
            "normals_within_22": error.within_22,
            "normals_within_30": error.within_30,
        }

    def compare_with_truth(
        self, prediction: np.ndarray, truth: Mapping[str, np.ndarray], options: NormalsOptions
    ) -> dict[str, float]:
        """Angles to the true normals, and those of normals derived from exact depth."""
        z = truth["z"].astype(np.float64)
        nearest, farthest = 1 / z.min(), 1 / z.max()
        exact = (1 / z - farthest) / (nearest - farthest)
        error = _error_to_truth(prediction, truth)
        return {
            "normals_error_degrees": error.mean,
            "normals_within_30": error.within_30,
            "normals_ceiling_degrees": _error_to_truth(normals_from_depth(exact, options), truth).mean,
        }

    def compare_round_trip(self, prediction: np.ndarray, exact: np.ndarray, coded: np.ndarray) -> dict[str, float]:
        """`normals_rgb_max_degrees` without the VAE; `vae_normals_within_30` after it."""
        return {
            "normals_rgb_max_degrees": angular_error(exact, prediction).max,
            "vae_normals_within_30": angular_error(coded, prediction).within_30,
        }

    def constant(self, mean: np.ndarray, num_frames: int, options: NormalsOptions) -> np.ndarray:
        normals = normals_from_depth(mean[None] / _DEPTH_LEVELS, options)
        return np.broadcast_to(normals, (num_frames, *normals.shape[1:]))


def normals_from_depth(depth: np.ndarray, options: NormalsOptions) -> np.ndarray:
    """Return the normals of the surfaces that depth shows, float32 (T, H, W, 3).

    On a plane, disparity is linear in the image: where n . P = k for the points P = z (u, v, 1), 1 / z = n . (u, v, 1) / k.
    So the gradient of disparity is the normal's direction, whatever the scale of depth, without points in space.

    Args:
        depth: Disparity normalised over the clip, 1 = nearest, float (T, H, W) with H, W >= 2.
        options: The camera, and the disparity of the farthest surface.
    """
    disparity = depth.astype(np.float64) + options.disparity_offset
    height, width = depth.shape[1:]
    focal = 0.5 * height / np.tan(np.radians(options.field_of_view) / 2)
    u = (np.arange(width) + 0.5 - width / 2) / focal
    v = (np.arange(height)[:, None] + 0.5 - height / 2) / focal
    x, y = _slope(disparity, 2) * focal, _slope(disparity, 1) * focal
    # Away from the camera n . P is above 0, hence the sign.
    return _unit(-np.stack([x, y, disparity - u * x - v * y], axis=-1)).astype(np.float32)


def _slope(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the smaller of both one-sided differences, so that surfaces do not reach across the edges of depth."""
    steps = np.diff(values, axis=axis)
    forward = np.concatenate([steps, steps.take([-1], axis)], axis)
    backward = np.concatenate([steps.take([0], axis), steps], axis)
    return np.where(np.abs(forward) < np.abs(backward), forward, backward)


def _error_to_truth(prediction: np.ndarray, truth: Mapping[str, np.ndarray]) -> AngularError:
    """Return the angles to a scene's true normals, turned from the axes of the world into those of the camera."""
    rotations = truth["camera"][:, :3, :3].astype(np.float64)
    return angular_error(prediction, np.einsum("tij,thwj->thwi", rotations, truth["normals"].astype(np.float64)))


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
