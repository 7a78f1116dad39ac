"""What the mini captioner is trained on: scenes varied in ways that a few thousand of them do not show.

A solid of one scene is put into another, pictures are mirrored and cropped. Videos are not played backwards: a solid that
comes back from a wall would then be named by how it came, not by how it set out. Knows scenes and names; no model.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from udpdiff.clip import FIRST_SOLID_ID
from udpdiff.measures.captions import seen_solids
from udpdiff.mini.captioner_model import IMAGE_SIDE, PATCH
from udpdiff.mini.captioner_targets import MOST_SOLIDS, mirrored, patch_solids, seen_caption, seen_order, solid_labels
from udpdiff.mini.scenes import Scenes

PASTED_SHARE = 0.5  # of the scenes of two solids, which get a third
CROPPED = (54, 56, 58, 60, 62, 64)  # pixels of a side that are left


class Lesson(NamedTuple):
    """Frames of a scene with all that is to be said of them.

    Attributes:
        video: uint8 (F, H, W, 3).
        caption: What to write.
        names: int64 (F, patches, len(LABELS)), see `solid_labels`.
        boxes: float32 (F, patches, 4), the box of each patch's solid, see `solid_boxes`; NaN for none.
        moved: The same, less the solid's box in the first frame; NaN where either is not seen.
    """

    video: np.ndarray
    caption: str
    names: np.ndarray
    boxes: np.ndarray
    moved: np.ndarray


def draw_lesson(scenes: Scenes, index: int, frames: np.ndarray, side: int, rng: np.random.Generator) -> Lesson:
    """The chosen frames of a scene, varied at random and cropped to side x side px."""
    video, ids, scene = put_in(scenes, index, frames, rng)
    if rng.random() < 0.5:
        video, ids, scene = video[:, :, ::-1], ids[:, :, ::-1], mirrored(scene)
    top, left = rng.integers(video.shape[1] - side + 1), rng.integers(video.shape[2] - side + 1)
    part = (slice(None), slice(top, top + side), slice(left, left + side))
    return describe_frames(video[part], ids[part], scene)


def describe_frames(video: np.ndarray, entity_ids: np.ndarray, scene: dict) -> Lesson:
    """Frames uint8 (F, side, side, 3), with their true ids and their scene, as they are."""
    order = seen_order(entity_ids, len(scene["solids"]))
    shown = ((np.arange(IMAGE_SIDE) + 0.5) * video.shape[1] / IMAGE_SIDE).astype(int)  # scaled as the model sees them
    ids = entity_ids[:, shown][:, :, shown]
    owners, boxes = patch_solids(ids, PATCH), solid_boxes(ids)
    every = np.arange(len(ids))[:, None]
    return Lesson(
        np.ascontiguousarray(video),
        seen_caption(scene, order),
        solid_labels(scene, order)[owners],
        boxes[every, owners],
        (boxes - boxes[:1])[every, owners],
    )


def solid_boxes(entity_ids: np.ndarray) -> np.ndarray:
    """The box around what is seen of each solid, from ids (F, H, W): left, right, top, bottom from -1 to 1.

    float32 (F, MOST_SOLIDS + 1, 4), NaN where nothing is seen; the last row is for patches without a solid.
    """
    boxes = np.full((len(entity_ids), MOST_SOLIDS + 1, 4), np.nan, np.float32)
    for solid in range(MOST_SOLIDS):
        own = entity_ids == FIRST_SOLID_ID + solid
        for column, axis in ((0, 1), (2, 2)):
            covered = own.any(axis)
            length, seen = covered.shape[1], covered.any(1)
            first, last = covered.argmax(1), length - covered[:, ::-1].argmax(1)
            boxes[seen, solid, column : column + 2] = 2 * np.stack([first, last], 1)[seen] / length - 1
    return boxes


def put_in(scenes: Scenes, index: int, frames: np.ndarray, rng: np.random.Generator):
    """Video, ids and description of a scene's frames, at times with a solid of another one where it is nearest.

    That scene's camera moves alike, so that the solid does as it is said to.
    """
    video, ids, scene = scenes.video[index, frames], scenes.entity_ids[index, frames], scenes.descriptions[index]
    count = len(scene["solids"])
    alike = [
        other for other in rng.integers(len(scenes), size=8) if scenes.descriptions[other]["camera"] == scene["camera"]
    ]
    if count != 2 or not alike or rng.random() >= PASTED_SHARE:
        return video, ids, scene
    other = alike[0]
    theirs = scenes.descriptions[other]["solids"]
    seen = seen_solids(scenes.entity_ids[other, frames], len(theirs))
    if not seen:
        return video, ids, scene
    solid = int(rng.choice(seen))
    shown = scenes.entity_ids[other, frames] == FIRST_SOLID_ID + solid
    shown &= scenes.z[other, frames] < scenes.z[index, frames]
    video = np.where(shown[..., None], scenes.video[other, frames], video)
    ids = np.where(shown, np.uint8(FIRST_SOLID_ID + count), ids)
    return video, ids, scene | {"solids": [*scene["solids"], theirs[solid]]}
