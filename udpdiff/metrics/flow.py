"""The optical flow behind the dynamic degree, by the name that the configuration gives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from udpdiff.measures.optical_flow import FLOW_METHOD, dense_flow


@dataclass(frozen=True)
class FlowEstimator:
    """name: travels with the figures; flow: of a video uint8 (T, H, W, 3), float (T-1, H, W, 2), (x, y) in pixels."""

    name: str
    flow: Callable[[np.ndarray], np.ndarray]


def load_flow(ref: str) -> FlowEstimator:
    """Return the estimator of a reference: `dis`."""
    if ref != "dis":
        raise ValueError(f"Optical flow: got {ref!r}, expected 'dis'.")
    return FlowEstimator(FLOW_METHOD, dense_flow)
