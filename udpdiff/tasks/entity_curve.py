"""How well entities survive their colours and the VAE, entity by entity: over their number, size and colour distance."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from udpdiff.measures.segmentation import tube_mean_iou
from udpdiff.tasks.curve import Axis, Curve, CurveValues
from udpdiff.tasks.figure import Figure

MIN_DISTANCES = (0, 32)  # between colours of Pixelplanes, steps of 1/255
_COUNTS = (4, 8, 16, 32, 64)
_CLIPS_EACH = 2
DRAWN_CLIPS = len(_COUNTS) * _CLIPS_EACH

CURVE = Curve(
    Figure("entity_codec_iou", "tube IoU", "higher", 3, "IoU of an entity's tube, all its pixels over the clip, with the decoded one that it is paired with; 0 for one without partner. Entities of fewer than 12 pixels do not count."),
    {
        "entities": Axis("entities in the clip", (1, 2, 3, 5, 9, 17, 33, math.inf), "log"),
        "size": Axis("share of the clip's pixels", (0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.001), "log"),
        "color_distance": Axis("distance to the nearest other colour, black included", (0, 1, 16, 32, 64, 128, math.inf), "linear", "steps of 1/255"),
    },
)  # fmt: skip


def entity_values(entity_ids: np.ndarray, colormap: np.ndarray, decoded: np.ndarray, min_pixels: int) -> CurveValues:
    """Return the IoU of every entity, with the number of entities, its share of pixels and its colour's distance.

    Args:
        entity_ids: Integers (T, H, W); 0 is none.
        colormap: uint8 (T, H, W, 3), as painted.
        decoded: Integers (T, H, W).
        min_pixels: Smaller entities do not count.
    """
    ids, first, pixels = np.unique(entity_ids, return_index=True, return_counts=True)
    colors = colormap.reshape(-1, 3)[first].astype(np.float64)
    colors, pixels = np.vstack([np.zeros((1, 3)), colors[ids > 0]]), pixels[ids > 0]
    gaps = np.linalg.norm(colors[:, None] - colors, axis=-1)
    np.fill_diagonal(gaps, np.inf)
    found = tube_mean_iou(decoded, entity_ids, min_pixels=min_pixels).per_entity
    counts = np.isin(ids[ids > 0], list(found))
    positions = {
        "entities": np.full(len(found), len(found), np.float64),
        "size": pixels[counts] / entity_ids.size,
        "color_distance": gaps[1:].min(axis=1)[counts],
    }
    return CurveValues(positions, np.array(list(found.values())))


def drawn_entities(shape: tuple[int, int, int], rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Draw clips of many entities, of which labels have few: cells around points that drift, two clips each of 4 to 64.

    Args:
        shape: T, H, W.
        rng: Draws points and drifts.

    Yields:
        uint16 (T, H, W) without a pixel of none.
    """
    frames, height, width = shape
    places = np.stack(np.mgrid[:height, :width], axis=-1)
    for count in _COUNTS:
        for _ in range(_CLIPS_EACH):
            points, steps = rng.uniform(0, (height, width), (count, 2)), rng.normal(0, height / 100, (count, 2))
            ids, nearest = np.zeros(shape, np.uint16), np.full(shape, np.inf, np.float32)
            for number, (point, step) in enumerate(zip(points, steps, strict=True), start=1):
                for time in range(frames):
                    gaps = ((places - point - step * time) ** 2).sum(axis=-1)
                    closer = gaps < nearest[time]
                    nearest[time][closer], ids[time][closer] = gaps[closer], number
            yield ids
