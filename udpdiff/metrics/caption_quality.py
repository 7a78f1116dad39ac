"""Measures the detailed captions of the evaluation scenes against the scenes' descriptions, clip by clip.

Three rows: the captioner's words; the source's own, which shows what these figures can reach; and the captioner's words
for another clip, which shows what they are without any link between clip and caption.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from udpdiff.measures.captions import NamedSolid, read_solids, score_solids, seen_solids, true_solids
from udpdiff.metrics.comparison import Comparison
from udpdiff.metrics.registry import CAPTIONER
from udpdiff.storage.captions import read_captions_and_rejections
from udpdiff.storage.shards import ShardReader

SOURCE, EXCHANGED = "source", "exchanged"


def compare_captions(
    truth_paths: Sequence[str | Path],
    caption_paths: Sequence[str | Path],
    shapes: Sequence[str],
    colors: Sequence[str],
) -> dict[str, Comparison]:
    """Compare captions with what is in the scenes.

    Args:
        truth_paths: Shards with the schema `truth`.
        caption_paths: The caption tables of the same clips, by a captioner.
        shapes: Words for shapes that a scene may hold.
        colors: Words for colours.

    Returns:
        Row -> comparison; clips without a caption are left out, and so are figures of clips in which no solid is seen.
    """
    written, refused = read_captions_and_rejections(list(caption_paths))
    found = {row: Comparison({}, dict(refused)) for row in (CAPTIONER, SOURCE, EXCHANGED)}
    ids = list(written)
    neighbour = dict(zip(ids, [*ids[1:], *ids[:1]], strict=True))
    for clip_id, solids in _solids(truth_paths):
        if clip_id not in written:
            continue
        texts = {
            CAPTIONER: written[clip_id]["detailed"],
            SOURCE: written[clip_id]["prompt"],
            EXCHANGED: written[neighbour[clip_id]]["detailed"],
        }
        for row, text in texts.items():
            found[row].clips[clip_id] = caption_figures(read_solids(text, shapes, colors), *solids)
        found[CAPTIONER].clips[clip_id]["caption_tokens"] = float(written[clip_id]["detailed_tokens"])
    return found


def caption_figures(named: Sequence[NamedSolid], true: Sequence[NamedSolid], seen: Sequence[int]) -> dict[str, float]:
    """Return the figures of one caption.

    Args:
        named: What it names.
        true: What is in the scene.
        seen: Indices of the solids that the clip shows; the others are not asked for, and no invention where named.
    """
    score = score_solids(named, true)
    figures = {"caption_inventions": score.invented / score.named} if score.named else {}
    if len(seen):
        right = score.right[list(seen)]
        shares = zip(("caption_shapes", "caption_colors", "caption_motions"), right.mean(0).tolist(), strict=True)
        figures |= {"caption_attributes": float(right.mean()), **dict(shares)}
        figures["caption_solids"] = float(right.all(1).mean())
    return figures


def _solids(truth_paths: Sequence[str | Path]) -> Iterator[tuple[str, tuple[list[NamedSolid], list[int]]]]:
    """Each clip with its solids and which of them are seen."""
    for path in truth_paths:
        with ShardReader(path) as truth:
            for clip_id, exact in truth.items(["entity_ids", "scene"]):
                true = true_solids(json.loads(exact["scene"]))
                yield clip_id, (true, seen_solids(exact["entity_ids"], len(true)))
