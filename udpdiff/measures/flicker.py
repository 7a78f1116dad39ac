"""Temporal flicker of depth: how much the estimated depth of a surface changes beyond what its true depth does.

A pixel is followed along the true flow from one frame to the next. With d the estimate, aligned by one scale and shift
per clip, z the true depth, and x' the place in frame t + 1 of the surface at x in frame t:

    flicker_t = mean over x of | log(d[t+1](x') / d[t](x)) - log(z[t+1](x') / z[t](x)) |

An error that travels with the surface cancels, an error that comes and goes remains, and so a sharp estimator that
pumps is told from a smooth one that is wrong. Logarithms make the figure relative: 0.01 is one percent of depth per
frame, near or far. The alignment is that of delta-1, one for the clip, never one per frame, which would hide pumping;
estimators that see single frames and those that see the video are thus held to the same.

It differs from the optical flow warping error of video depth (Wang et al., Less is More: Consistent Video Depth
Estimation with Masked Frames Modeling) in subtracting the true change, so that motion towards the camera is not taken
for flicker, and from temporal gradient matching (Chen et al., Video Depth Anything) in following surfaces, not pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from udpdiff.measures.optical_flow import corners, next_places, sample


@dataclass(frozen=True)
class DepthFlicker:
    """Means over the steps from frame to frame, as shares of depth per frame; steps float64 (T-1,), nan if unseen.

    mean: the flicker. true_change: mean ``|log(z[t+1](x') / z[t](x))|``, what a depth map that never changes would get.
    """

    mean: float
    true_change: float
    steps: np.ndarray


def depth_flicker(depth: np.ndarray, z: np.ndarray, flow: np.ndarray, entity_ids: np.ndarray) -> DepthFlicker:
    """Flicker of depth (T, H, W), > 0 and aligned to the true z (T, H, W), in any unit that both share.

    flow (T-1, H, W, 2): forward, (x, y) in pixels. entity_ids integer (T, H, W): a surface is followed where all four
    pixels around its next place show the same entity, which leaves out what is covered next and the edges between
    depths. Raises ValueError for shapes that do not fit or depths that are not above 0.
    """
    shape = z.shape
    if (
        len(shape) != 3
        or depth.shape != shape
        or entity_ids.shape != shape
        or flow.shape != (shape[0] - 1, *shape[1:], 2)
    ):
        raise ValueError(
            f"Flicker: got depth {depth.shape}, z {shape}, entity_ids {entity_ids.shape}, flow {flow.shape}; expected "
            "three times (T, H, W), and (T-1, H, W, 2)."
        )
    if not (depth > 0).all() or not (z > 0).all():
        raise ValueError(f"Flicker: got depths from {depth.min():.4g} and z from {z.min():.4g}, expected all above 0.")
    log_depth, log_z = np.log(depth.astype(np.float64)), np.log(z.astype(np.float64))
    steps, changes = np.full(shape[0] - 1, np.nan), np.full(shape[0] - 1, np.nan)
    for step in range(shape[0] - 1):
        seen, places = _followed(flow[step], entity_ids[step], entity_ids[step + 1])
        if not seen.any():
            continue
        estimated = sample(log_depth[step + 1], places) - log_depth[step][seen]
        true = sample(log_z[step + 1], places) - log_z[step][seen]
        steps[step], changes[step] = np.abs(estimated - true).mean(), np.abs(true).mean()
    if np.isnan(steps).all():
        return DepthFlicker(float("nan"), float("nan"), steps)
    return DepthFlicker(float(np.nanmean(steps)), float(np.nanmean(changes)), steps)


def _followed(flow: np.ndarray, entities: np.ndarray, next_entities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which pixels are followed, bool (H, W), and where they come to lie, as `next_places`."""
    inside, places = next_places(flow)
    top, bottom, left, right = corners(places, entities.shape)
    around = np.stack([next_entities[row, column] for row in (top, bottom) for column in (left, right)])
    same = (around == entities[inside]).all(axis=0)
    seen = inside.copy()
    seen[inside] = same
    return seen, places[:, same]
