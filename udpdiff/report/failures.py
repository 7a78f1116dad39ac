"""The clips that a labelling variant does worst on, as pictures, with the reason in numbers.

Reads clips, labels and truth of the evaluation split; knows nothing about HTML.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from udpdiff.measures.id_switches import id_switches
from udpdiff.measures.segmentation import tube_mean_iou
from udpdiff.metrics.label_figures import MIN_ENTITY_PIXELS, aligned_to_truth, flicker_of
from udpdiff.report import media
from udpdiff.sources.ray_casting import BACKDROP_ID, FIRST_SOLID_ID, GROUND_ID
from udpdiff.storage.shards import ShardReader
from udpdiff.video_io import decode_mp4

# By which figures the worst are chosen, and how many by each; True: the lowest are the worst.
WORST = {
    "entities": (("entity_miou", True, 3), ("id_switches", False, 1)),
    "depth": (("depth_delta1", True, 2), ("depth_flicker", False, 2)),
}
ROWS = ("clip", "truth", "label", "error")
MAX_DEPTH_ERROR = 0.25  # of the true depth: what the error map shows in full
_FRAMES = 5
_WRONG, _MISSED = (214, 39, 40), (255, 200, 40)


def worst_clips(kind: str, clips: dict[str, dict[str, float]]) -> list[tuple[str, str]]:
    """(clip id, the figure it was chosen by), no clip twice; clips: figures by clip id. Without switches none is shown."""
    chosen: dict[str, str] = {}
    for figure, lowest, count in WORST[kind]:
        ranked = sorted((row[figure], clip_id) for clip_id, row in clips.items() if figure in row)
        ranked = ranked if lowest else [pair for pair in ranked[::-1] if pair[0] > 0]
        new = [clip_id for _, clip_id in ranked if clip_id not in chosen]
        chosen |= dict.fromkeys(new[:count], figure)
    return list(chosen.items())


def pictures(
    results: Path, kind: str, variant: str, chosen: list[tuple[str, str]], folder: Path, name: str
) -> list[dict]:
    """Draws the chosen clips into files called name-N: clip, truth, label, error from top to bottom, time to the right."""
    found = []
    for index, (clip_id, figure) in enumerate(chosen):
        shard = _shard_with(results / "truth" / "evaluation", clip_id)
        with (
            ShardReader(results / "clips" / "evaluation" / shard) as clips,
            ShardReader(results / "truth" / "evaluation" / shard) as truth,
            ShardReader(results / kind / variant / "evaluation" / shard) as labels,
        ):
            video = decode_mp4(clips.read(clip_id, "video_mp4"))
            exact = {key: truth.read(clip_id, key) for key in ("entity_ids", "z", "flow", "scene")}
            draw = _entities if kind == "entities" else _depth
            rows, reasons = draw(video, exact, labels.read(clip_id, "entity_ids" if kind == "entities" else "depth"))
        shown = np.linspace(0, len(video) - 1, _FRAMES).round().astype(int)
        path = folder / f"{name}-{index}.jpg"
        media.write_jpeg(path, media.table([list(row[shown]) for row in rows]))
        picture = {"picture": f"{folder.name}/{path.name}", "clip_id": clip_id, "figure": figure}
        found.append(picture | {"reasons": reasons, "frames": (shown + 1).tolist()})
    return found


def entity_errors(video: np.ndarray, truth: np.ndarray, label: np.ndarray, match: dict[int, int]) -> np.ndarray:
    """Where labels are wrong, uint8 (T, H, W, 3): red for another entity's label, yellow for none, else the dim clip.

    match: true id -> the id that labels it.
    """
    picture = np.repeat((video.mean(-1, keepdims=True) * 0.6).astype(np.uint8), 3, axis=-1)
    wanted = np.zeros(int(truth.max()) + 1, np.int64)
    wanted[list(match)] = list(match.values())
    picture[(label != wanted[truth]) & (label != 0)] = _WRONG
    picture[(label == 0) & (truth != 0)] = _MISSED
    return picture


def depth_errors(aligned: np.ndarray, z: np.ndarray) -> np.ndarray:
    """|aligned - z| / z in colours from black (0) to white (25 % and more), uint8 (T, H, W, 3)."""
    from matplotlib import colormaps

    share = np.clip(np.abs(aligned - z) / z / MAX_DEPTH_ERROR, 0, 1)
    return (colormaps["inferno"](share)[..., :3] * 255).astype(np.uint8)


def _entities(video, exact, label):
    truth = exact["entity_ids"]
    tubes = tube_mean_iou(label, truth, min_pixels=MIN_ENTITY_PIXELS)
    names = _names(json.loads(exact["scene"]))
    rows = [
        video,
        media.color_entities(truth),
        media.color_entities(_in_colors_of_truth(label, truth, tubes.match)),
        entity_errors(video, truth, label, tubes.match),
    ]
    worst = sorted(tubes.per_entity.items(), key=lambda pair: pair[1])[:3]
    reasons = ["lowest IoU: " + ", ".join(f"{names[entity]} {iou:.2f}" for entity, iou in worst)]
    for entity, frames in id_switches(label, truth, min_pixels=MIN_ENTITY_PIXELS).frames.items():
        if frames:
            reasons.append(f"{names[entity]} gets another id in frame {', '.join(str(frame + 1) for frame in frames)}")
    return rows, reasons


def _depth(video, exact, label):
    z, depth = exact["z"], label / np.float32(65535)
    aligned = aligned_to_truth(depth, z)
    near, far = 1 / z.min(), 1 / z.max()
    rows = [video]
    rows += [media.color_depth(np.clip((1 / found - far) / (near - far), 0, 1)) for found in (z, aligned)]
    rows.append(depth_errors(aligned, z))
    share = np.abs(aligned - z) / z
    names = _names(json.loads(exact["scene"]))
    ids = exact["entity_ids"]
    worst = sorted(((share[ids == entity].mean(), entity) for entity in np.unique(ids).tolist()), reverse=True)[:2]
    reasons = ["farthest off: " + ", ".join(f"{names[entity]} by {error:.0%} of its depth" for error, entity in worst)]
    steps = flicker_of(depth, z, exact["flow"], ids).steps
    if np.isfinite(steps).any():
        step = int(np.nanargmax(steps))
        reasons.append(f"flickers most from frame {step + 1} to {step + 2}, by {steps[step]:.1%} of depth")
    return rows, reasons


def _in_colors_of_truth(label, truth, match):
    """Labels under the ids of the true entities they match, so that both get the same colours; others get free ids."""
    ids = np.unique(label[label != 0])
    free = int(truth.max()) + 1
    owner = {labelled: true for true, labelled in match.items()}
    new = np.zeros(int(label.max()) + 1, np.uint16)
    for labelled in ids.tolist():
        new[labelled] = owner.get(labelled, free)
        free += labelled not in owner
    return new[label]


def _names(scene):
    """Words for each true id of a rendered scene."""
    solids = {
        FIRST_SOLID_ID + index: " ".join(word for word in (solid["size"], solid["color"], solid["shape"]) if word)
        for index, solid in enumerate(scene["solids"])
    }
    return {GROUND_ID: "ground", BACKDROP_ID: "backdrop"} | solids


def _shard_with(folder, clip_id):
    for path in sorted(folder.glob("*.h5")):
        with ShardReader(path) as shard:
            if clip_id in shard.scores:
                return path.name
    raise ValueError(f"{folder}: got clip {clip_id!r} among the figures, expected it in a shard here; measure again.")
