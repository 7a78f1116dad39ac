"""The clips that a labelling variant does worst on, as pictures, with the reason in numbers.

Reads clips, labels and truth of the evaluation split; knows nothing about HTML.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from udpdiff.clip import BACKDROP_ID, FIRST_SOLID_ID, GROUND_ID
from udpdiff.measures.id_switches import id_switches
from udpdiff.measures.segmentation import tube_mean_iou
from udpdiff.report import media
from udpdiff.report.inputs import Inputs, labelled_task
from udpdiff.storage.shards import ShardReader
from udpdiff.tasks.depth import aligned_to_truth, flicker_against_truth
from udpdiff.tasks.entities import MIN_ENTITY_PIXELS
from udpdiff.video_io import decode_mp4

# By which figures the worst are chosen, and how many by each; True: the lowest are the worst.
WORST = {
    "entities": (("entity_miou", True, 3), ("id_switches", False, 1)),
    "depth": (("depth_delta1", True, 2), ("depth_flicker", False, 2)),
    "captions": (("caption_attributes", True, 4), ("caption_inventions", False, 2)),
}
ROWS = ("clip", "truth", "label", "error")
MAX_DEPTH_ERROR = 0.25  # of the true depth: what the error map shows in full
_FRAMES = 5
_WRONG, _MISSED = (214, 39, 40), (255, 200, 40)


def worst_clips(kind: str, clips: dict[str, dict[str, float]]) -> list[tuple[str, str]]:
    """Return (clip id, the figure it was chosen by), no clip twice; without switches none is shown for them.

    Args:
        kind: Of labels.
        clips: Figures by clip id.
    """
    chosen: dict[str, str] = {}
    for figure, lowest, count in WORST[kind]:
        ranked = sorted((row[figure], clip_id) for clip_id, row in clips.items() if figure in row)
        ranked = ranked if lowest else [pair for pair in ranked[::-1] if pair[0] > 0]
        new = [clip_id for _, clip_id in ranked if clip_id not in chosen]
        chosen |= dict.fromkeys(new[:count], figure)
    return list(chosen.items())


def pictures(
    inputs: Inputs, kind: str, variant: str, chosen: list[tuple[str, str]], folder: Path, name: str
) -> list[dict]:
    """Draw the chosen clips into files called name-N: clip, truth, label, error from top to bottom, time to the right."""
    task, drawn = labelled_task(kind), []
    draw = {"entities": _entities, "depth": _depth}[kind]
    for index, (clip_id, figure) in enumerate(chosen):
        number = shard_with(inputs, clip_id)
        with (
            ShardReader(inputs.shard("clips", "evaluation", number)) as clips,
            ShardReader(inputs.shard("truth", "evaluation", number)) as truth,
            ShardReader(inputs.shard(f"{kind}/{variant}", "evaluation", number)) as labels,
        ):
            video = decode_mp4(clips.read(clip_id, "video_mp4"))
            exact = {key: truth.read(clip_id, key) for key in ("entity_ids", "z", "flow", "scene")}
            stored = labels.read(clip_id, task.dataset)
        rows, reasons = draw(video, exact, task.from_labels(stored, inputs.config.task_options(task.name)))
        strip = write_strip(rows, folder / f"{name}-{index}.jpg")
        drawn.append(strip | {"clip_id": clip_id, "figure": figure, "reasons": reasons})
    return drawn


def write_strip(rows: Sequence[np.ndarray], path: Path) -> dict:
    """Write some frames of videos uint8 (T, H, W, 3), a row each, time to the right; return what a page says of the file."""
    shown = np.linspace(0, len(rows[0]) - 1, _FRAMES).round().astype(int)
    size = media.write_jpeg(path, media.table([list(row[shown]) for row in rows]))
    return {"picture": f"{path.parent.name}/{path.name}", "frames": (shown + 1).tolist()} | size


def entity_errors(video: np.ndarray, truth: np.ndarray, label: np.ndarray, match: dict[int, int]) -> np.ndarray:
    """Return where labels are wrong, uint8 (T, H, W, 3): red for another entity's, yellow for none, else the dim clip.

    Args:
        video: uint8 (T, H, W, 3).
        truth: True ids, uint16 (T, H, W).
        label: Labelled ids, likewise.
        match: True id -> the id that labels it.
    """
    picture = np.repeat((video.mean(-1, keepdims=True) * 0.6).astype(np.uint8), 3, axis=-1)
    wanted = np.zeros(int(truth.max()) + 1, np.int64)
    wanted[list(match)] = list(match.values())
    picture[(label != wanted[truth]) & (label != 0)] = _WRONG
    picture[(label == 0) & (truth != 0)] = _MISSED
    return picture


def depth_errors(aligned: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return |aligned - z| / z in colours from black (0) to white (25 % and more), uint8 (T, H, W, 3)."""
    from matplotlib import colormaps

    share = np.clip(np.abs(aligned - z) / z / MAX_DEPTH_ERROR, 0, 1)
    return (colormaps["inferno"](share)[..., :3] * 255).astype(np.uint8)


def _entities(video: np.ndarray, exact: Mapping, label: np.ndarray) -> tuple[list[np.ndarray], list[str]]:
    truth, picture = exact["entity_ids"], labelled_task("entities").picture
    tubes = tube_mean_iou(label, truth, min_pixels=MIN_ENTITY_PIXELS)
    names = _names(json.loads(exact["scene"]))
    rows = [
        video,
        picture(truth),
        picture(_in_colours_of_truth(label, truth, tubes.match)),
        entity_errors(video, truth, label, tubes.match),
    ]
    worst = sorted(tubes.per_entity.items(), key=lambda pair: pair[1])[:3]
    reasons = ["lowest IoU: " + ", ".join(f"{names[entity]} {iou:.2f}" for entity, iou in worst)]
    for entity, frames in id_switches(label, truth, min_pixels=MIN_ENTITY_PIXELS).frames.items():
        if frames:
            reasons.append(f"{names[entity]} gets another id in frame {', '.join(str(frame + 1) for frame in frames)}")
    return rows, reasons


def _depth(video: np.ndarray, exact: Mapping, depth: np.ndarray) -> tuple[list[np.ndarray], list[str]]:
    z, ids, names = exact["z"], exact["entity_ids"], _names(json.loads(exact["scene"]))
    aligned = aligned_to_truth(depth, z)
    near, far = 1 / z.min(), 1 / z.max()
    shown = [np.clip((1 / distance - far) / (near - far), 0, 1) for distance in (z, aligned)]
    rows = [video, *map(labelled_task("depth").picture, shown), depth_errors(aligned, z)]
    share = np.abs(aligned - z) / z
    worst = sorted(((share[ids == entity].mean(), entity) for entity in np.unique(ids).tolist()), reverse=True)[:2]
    reasons = ["farthest off: " + ", ".join(f"{names[entity]} by {error:.0%} of its depth" for error, entity in worst)]
    steps = flicker_against_truth(depth, z, exact["flow"], ids).steps
    if np.isfinite(steps).any():
        step = int(np.nanargmax(steps))
        reasons.append(f"flickers most from frame {step + 1} to {step + 2}, by {steps[step]:.1%} of depth")
    return rows, reasons


def _in_colours_of_truth(label: np.ndarray, truth: np.ndarray, match: Mapping[int, int]) -> np.ndarray:
    """Labels under the ids of the true entities they match, so that both get the same colours; others get free ids."""
    ids = np.unique(label[label != 0])
    free = int(truth.max()) + 1
    owner = {labelled: true for true, labelled in match.items()}
    new = np.zeros(int(label.max()) + 1, np.uint16)
    for labelled in ids.tolist():
        new[labelled] = owner.get(labelled, free)
        free += labelled not in owner
    return new[label]


def _names(scene: dict) -> dict[int, str]:
    """Words for each true id of a rendered scene."""
    solids = {
        FIRST_SOLID_ID + index: " ".join(word for word in (solid["size"], solid["color"], solid["shape"]) if word)
        for index, solid in enumerate(scene["solids"])
    }
    return {GROUND_ID: "ground", BACKDROP_ID: "backdrop"} | solids


def shard_with(inputs: Inputs, clip_id: str) -> int:
    """Return the number of the evaluation shard that a clip lies in."""
    for number in inputs.workflow.shard_numbers("evaluation"):
        with ShardReader(inputs.shard("truth", "evaluation", number)) as shard:
            if clip_id in shard.scores:
                return number
    raise ValueError(
        f"labels.json: got clip {clip_id!r}, expected one of the evaluation truth; measure the labels again."
    )
