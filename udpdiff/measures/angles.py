"""Angles between surface normals.

Knows unit vectors only, in whatever axes both sides share.

Source: Eigen and Fergus, Predicting Depth, Surface Normals and Semantic Labels with a Common Multi-Scale Convolutional
Architecture (mean, median and shares within 11.25, 22.5 and 30 degrees).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AngularError:
    """Over the pixels that count.

    Attributes:
        mean: Degrees, lower is better.
        median: The same.
        max: The same.
        within_11: Share of the pixels within 11.25 degrees, higher is better.
        within_22: Within 22.5 degrees.
        within_30: Within 30 degrees.
    """

    mean: float
    median: float
    max: float
    within_11: float
    within_22: float
    within_30: float


def angular_error(prediction: np.ndarray, reference: np.ndarray, valid: np.ndarray | None = None) -> AngularError:
    """Return how far normals point from a reference's.

    Args:
        prediction: Unit vectors, float (..., 3).
        reference: The same shape.
        valid: Pixels that count, bool (...); all by default.

    Raises:
        ValueError: The shapes differ, or no pixel is valid.
    """
    if prediction.shape != reference.shape or prediction.shape[-1:] != (3,):
        raise ValueError(f"Normals: got {prediction.shape} and {reference.shape}, expected the same (..., 3) for both.")
    degrees = angles(prediction, reference)
    degrees = degrees.ravel() if valid is None else degrees[valid]
    if not degrees.size:
        raise ValueError("Normals: no pixel is valid, expected at least one; check the mask.")
    shares = (float((degrees <= limit).mean()) for limit in (11.25, 22.5, 30.0))
    return AngularError(float(degrees.mean()), float(np.median(degrees)), float(degrees.max()), *shares)


def angles(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the angles between unit vectors (..., 3) in degrees, float64 (...)."""
    first, second = first.astype(np.float64), second.astype(np.float64)
    # The arc tangent is exact for small angles, where the arc cosine is not.
    across = np.linalg.norm(np.cross(first, second), axis=-1)
    return np.degrees(np.arctan2(across, np.einsum("...i,...i->...", first, second)))
