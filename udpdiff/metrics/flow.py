"""The optical flow from which motion is measured, by the name that the configuration gives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from udpdiff.measures.optical_flow import FLOW_METHOD, dense_flow


@dataclass(frozen=True)
class FlowEstimator:
    """name: travels with the figures; flow: of a video uint8 (T, H, W, 3), float (T-1, H, W, 2), (x, y) in pixels.

    sha256: of the weights; None without any.
    """

    name: str
    flow: Callable[[np.ndarray], np.ndarray]
    sha256: str | None = None


def load_flow(ref: str, *, device: str = "cpu") -> FlowEstimator:
    """Return the estimator of a reference: `dis`, or one of RAFT as `raft.Raft.from_reference` takes it.

    Raises:
        ValueError: Any other reference, or weights that are not to be had.
    """
    if ref == "dis":
        return FlowEstimator(FLOW_METHOD, dense_flow)
    from udpdiff.metrics.raft import OWN, Raft

    if ref not in OWN and not ref.startswith("raft:"):
        raise ValueError(f"Optical flow: got {ref!r}, expected dis, {', '.join(OWN)} or raft:FILE#SHA256.")
    network = Raft.from_reference(ref, device=device)
    return FlowEstimator(network.name, network.flow, network.sha256)
