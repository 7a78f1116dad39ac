"""Middle frames for motion smoothness: a weight-free average, and the seam for a user's own network (AMT).

The average of both neighbours needs no weights but is not what VBench uses, so its figures carry another name,
`motion_smoothness_blend`, and are never set beside AMT's. AMT itself is CC BY-NC and not part of this project: a user
who has it names a function of theirs, `plugin:MODULE:FUNCTION`.

Source: Vchitect/VBench, vbench/motion_smoothness.py (AMT-S at t = 0.5).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from udpdiff import plugins
from udpdiff.files import file_sha256
from udpdiff.metrics.registry import SMOOTHNESS, own_smoothness


@dataclass(frozen=True)
class Interpolator:
    """interpolate: two float32 (P, H, W, 3) in [0, 255] -> the P frames in between; metric: the name of its figure."""

    name: str
    metric: str
    interpolate: Callable[[np.ndarray, np.ndarray], np.ndarray]


def blend(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """The average of the frames before and after."""
    return (before + after) / 2


def load_interpolator(ref: str) -> Interpolator:
    """The interpolator of a reference: `blend`, or `plugin:MODULE:FUNCTION`.

    FUNCTION is called without arguments and returns the network as an object with the attribute `name` (str) that can
    be called as `interpolate` above. Only a plug-in whose name starts with `amt` reports as `motion_smoothness`,
    VBench's figure; others report as `motion_smoothness_NAME`, in lower case and with `_` for all but letters and digits.

    Raises:
        ValueError: Another reference, or a name that cannot be a figure's, see `registry.own_smoothness`.
    """
    if ref == "blend":
        return Interpolator("frame average", f"{SMOOTHNESS}_blend", blend)
    if not ref.startswith("plugin:"):
        raise ValueError(f"Interpolator: got {ref!r}, expected 'blend' or 'plugin:MODULE:FUNCTION'.")
    network = plugins.load(ref)()
    name = str(network.name)
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name):  # it becomes the name of a figure
        raise ValueError(
            f"Interpolator: {ref} calls itself {name!r}; expected letters, digits, '_', '.', '-', at most 64"
        )
    metric = SMOOTHNESS if name.lower().startswith("amt") else own_smoothness(name)
    return Interpolator(name, metric, network)


def interpolator_sha256(ref: str) -> str | None:
    """Return the sha256 of a plug-in's module, which says what it loads; None of `blend`, and of a module that is no file."""
    source = plugins.source(ref)
    return source and file_sha256(source)
