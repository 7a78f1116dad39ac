"""The clips of which the captioner says the least that is right: the clip, what it said, what is there.

Reads clips, captions and truth of the evaluation split; knows nothing about HTML.
"""

from __future__ import annotations

import json
from pathlib import Path

from udpdiff.measures.captions import ACTIONS, NamedSolid, read_solids, score_solids, seen_solids, true_solids
from udpdiff.report.inputs import Inputs
from udpdiff.report.worst_labels import shard_with, write_strip
from udpdiff.sources.scenes import COLORS, SHAPES
from udpdiff.storage.captions import read_captions
from udpdiff.storage.shards import ShardReader
from udpdiff.video_io import decode_mp4

ROWS = ("clip",)


def pictures(inputs: Inputs, chosen: list[tuple[str, str]], folder: Path, name: str) -> list[dict]:
    """Draw the chosen clips into files called name-N, time to the right, with the words and their mistakes."""
    drawn = []
    for index, (clip_id, figure) in enumerate(chosen):
        number = shard_with(inputs, clip_id)
        words = read_captions([inputs.captions("evaluation", number)])[clip_id]["detailed"]
        with (
            ShardReader(inputs.shard("clips", "evaluation", number)) as clips,
            ShardReader(inputs.shard("truth", "evaluation", number)) as truth,
        ):
            video = decode_mp4(clips.read(clip_id, "video_mp4"))
            scene, entity_ids = json.loads(truth.read(clip_id, "scene")), truth.read(clip_id, "entity_ids")
        strip = write_strip([video], folder / f"{name}-{index}.jpg")
        reasons = [
            f"said: {words}",
            *mistakes(words, true_solids(scene), seen_solids(entity_ids, len(scene["solids"]))),
        ]
        drawn.append(strip | {"clip_id": clip_id, "figure": figure, "reasons": reasons})
    return drawn


def mistakes(words: str, true: list[NamedSolid], seen: list[int]) -> list[str]:
    """Return what is there and what of it the words get wrong, in lines for people."""
    score = score_solids(read_solids(words, SHAPES, list(COLORS)), true)
    there = ", ".join(_said(true[index]) for index in seen)
    lines = [f"true: {there}"]
    for index in seen:
        wrong = [
            part for part, right in zip(("shape", "colour", "motion"), score.right[index], strict=True) if not right
        ]
        if wrong:
            missed = "missed" if len(wrong) == 3 else f"wrong or unsaid: {', '.join(wrong)}"
            lines.append(f"{true[index].color} {true[index].shape}: {missed}")
    return lines + ([f"invented: {score.invented}"] if score.invented else [])


def _said(solid: NamedSolid) -> str:
    verb = "" if solid.motion in ACTIONS else "moves "
    return f"{solid.color} {solid.shape} {verb}{solid.motion}"
