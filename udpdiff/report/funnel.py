"""From candidates to clips that are trained on: how many are left after each stage, and why the others are not.

Reads summaries of shards and tables of captions; knows nothing of HTML.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydantic import Field

from udpdiff.clip import SPLITS
from udpdiff.report.inputs import Inputs
from udpdiff.report.site import PageData
from udpdiff.storage.captions import read_captions, read_rejections

_STAGES = {"clips": "clips that pass the filters", "entities": "with entities", "depth": "with depth", "captions": "with captions"}  # fmt: skip
MOST_REJECTIONS = 2000  # listed one by one


class Reason(PageData):
    reason: str = Field(description="Without the numbers of the single clip.")
    counts: dict[str, int] = Field(description="Clips by split; a clip may have several reasons.")


class Stage(PageData):
    name: str
    left: dict[str, int | None] = Field(description="Clips left by split; null where not all shards were read.")
    reasons: list[Reason]


class Rejection(PageData):
    stage: str
    split: str
    clip_id: str
    reason: str


class Funnel(PageData):
    sources: dict[str, int] = Field(description="Source videos of the accepted clips, by split.")
    stages: list[Stage] = Field(description="In order; each counts the clips that passed all before it.")
    rejections: list[Rejection] = Field(description="The first of them, with their own numbers.")
    rejected: int


def funnel(inputs: Inputs) -> Funnel:
    """Count over all shards of both splits; of labels, those by the judges."""
    alive = {split: _alive(inputs, split) for split in SPLITS}
    lost = list(_rejections(inputs))
    candidates = {
        split: len(alive[split][0] or ()) + sum(each.stage == "clips" and each.split == split for each in lost)
        for split in SPLITS
    }
    stages = [Stage(name="candidates", left=candidates, reasons=[])]
    for index, (key, name) in enumerate(_STAGES.items()):
        left = {split: None if alive[split][index] is None else len(alive[split][index]) for split in SPLITS}
        stages.append(Stage(name=name, left=left, reasons=_reasons(each for each in lost if each.stage == key)))
    return Funnel(
        sources={split: sum(each.sources for each in _summaries(inputs, "clips", split)) for split in SPLITS},
        stages=stages,
        rejections=lost[:MOST_REJECTIONS],
        rejected=len(lost),
    )


def _alive(inputs: Inputs, split: str) -> list[set[str] | None]:
    """Clip ids left after each stage; None from the first on of which not every shard was read."""
    clips = _summaries(inputs, "clips", split)
    found: list[set[str] | None] = [{clip for each in clips for clip in each.clips}]
    for kind in ("entities", "depth"):
        own = _summaries(inputs, f"{kind}/{inputs.judges()[kind][0]}", split)
        passed = {clip for each in own for clip in each.clips}
        whole = len(own) == len(clips) and found[-1] is not None
        found.append(found[-1] & passed if whole else None)
    captioned = read_captions(inputs.caption_tables(split)).keys()
    found.append(found[-1] & captioned if found[-1] is not None else None)
    return found


def _rejections(inputs: Inputs) -> Iterable[Rejection]:
    """Clips left out by the source, by the judges, or for want of a caption."""
    folders = {"clips": "clips"} | {f"{kind}/{names[0]}": kind for kind, names in inputs.judges().items()}
    for summary in inputs.summaries:
        for entry in summary.rejected if summary.folder in folders else ():
            stage = folders[summary.folder]
            yield Rejection(stage=stage, split=summary.split, clip_id=entry["clip_id"], reason=entry["reason"])
    for split in SPLITS:
        for clip_id, reason in read_rejections(inputs.caption_tables(split)).items():
            yield Rejection(stage="captions", split=split, clip_id=clip_id, reason=reason)


def _reasons(lost: Iterable[Rejection]) -> list[Reason]:
    """Reasons by how often they are given; `too still: motion 0.01, ...` counts as `too still`."""
    counts: dict[str, Counter] = {}
    for each in lost:
        for part in each.reason.split("; "):
            counts.setdefault(part.partition(":")[0].strip(), Counter())[each.split] += 1
    ranked = sorted(counts.items(), key=lambda pair: -pair[1].total())
    return [Reason(reason=reason, counts={split: found[split] for split in SPLITS}) for reason, found in ranked]


def _summaries(inputs: Inputs, folder: str, split: str) -> list:
    return [each for each in inputs.summaries if (each.folder, each.split) == (folder, split)]
