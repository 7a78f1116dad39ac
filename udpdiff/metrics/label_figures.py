"""All figures of the labels of one clip against its exact truth, by the names that tables and report use.

Knows arrays only; a figure that a clip cannot have is left out of its dict. Which variant made the labels, and the mean
over clips, are the caller's.
"""

from __future__ import annotations

import math

import numpy as np

from udpdiff.measures.boundary import j_and_f
from udpdiff.measures.depth import align_depth_maps, evaluate_depth_maps
from udpdiff.measures.flicker import DepthFlicker, depth_flicker
from udpdiff.measures.id_switches import id_switches
from udpdiff.measures.segmentation import tube_mean_iou
from udpdiff.measures.tube_detection import tube_detection

MIN_ENTITY_PIXELS = 12  # smaller true entities are a few stray pixels
MAX_Z = 80.0  # world units; beyond every surface of a scene


def entity_figures(entity_ids: np.ndarray, truth: np.ndarray, *, first_solid_id: int) -> dict[str, float]:
    """Figures of entity_ids (T, H, W) against true ones (T, H, W), integers, 0 = none.

    `entity_miou`, over all true entities, and `solid_miou`, over those from first_solid_id on: mean IoU of whole-clip
    tubes, matched one to one. `entity_precision`, `entity_recall`: tubes at IoU 0.5. `entity_j`, `entity_f`,
    `entity_j_and_f`: region and boundary, frame by frame. `id_switches`: per true entity over the clip. `coverage`:
    share of pixels with any label. True entities of fewer than 12 pixels in the clip (for switches: in the frame) do
    not count.
    """
    sizes = np.bincount(truth.ravel())
    figures = {"entity_miou": tube_mean_iou(entity_ids, truth, min_pixels=MIN_ENTITY_PIXELS).mean}
    if (sizes[first_solid_id:] >= MIN_ENTITY_PIXELS).any():
        solids = np.where(truth >= first_solid_id, truth, 0)
        figures["solid_miou"] = tube_mean_iou(entity_ids, solids, min_pixels=MIN_ENTITY_PIXELS).mean
    found = tube_detection(entity_ids, truth, min_pixels=MIN_ENTITY_PIXELS)
    void = len(sizes)
    small = np.isin(truth, np.flatnonzero(sizes < MIN_ENTITY_PIXELS))
    region = j_and_f(entity_ids, np.where(small, void, truth), void=void)
    figures |= {
        "entity_precision": found.precision,
        "entity_recall": found.recall,
        "entity_j": region.j,
        "entity_f": region.f,
        "entity_j_and_f": region.j_and_f,
        "id_switches": id_switches(entity_ids, truth, min_pixels=MIN_ENTITY_PIXELS).mean,
        "coverage": float((entity_ids > 0).mean()),
    }
    return {name: value for name, value in figures.items() if not math.isnan(value)}


def depth_figures(depth: np.ndarray, z: np.ndarray, flow: np.ndarray, entity_ids: np.ndarray) -> dict[str, float]:
    """Figures of depth (T, H, W) in [0, 1], 1 = near, against true z (T, H, W), flow (T-1, H, W, 2) and entities.

    After one scale and shift per clip, fitted in disparity and scored in depth: `depth_delta1`, `depth_abs_rel`,
    `depth_rmse` (units of z); `depth_flicker` and `depth_true_change`, shares of depth per frame (see `flicker`).
    """
    score = evaluate_depth_maps(depth, z, domain="depth", max_value=MAX_Z)
    flickers = flicker_of(depth, z, flow, entity_ids)
    figures = {
        "depth_delta1": score.delta1,
        "depth_abs_rel": score.abs_rel,
        "depth_rmse": score.rmse,
        "depth_flicker": flickers.mean,
        "depth_true_change": flickers.true_change,
    }
    return {name: value for name, value in figures.items() if not math.isnan(value)}


def flicker_of(depth: np.ndarray, z: np.ndarray, flow: np.ndarray, entity_ids: np.ndarray) -> DepthFlicker:
    """Flicker of depth in [0, 1], 1 = near, after the alignment that its other figures have."""
    return depth_flicker(aligned_to_truth(depth, z), z, flow, entity_ids)


def aligned_to_truth(depth: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Depth in [0, 1], 1 = near, as distances in the units of z, float64 (T, H, W)."""
    return align_depth_maps(depth, z, domain="depth", max_value=MAX_Z)
