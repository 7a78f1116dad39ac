"""From candidates to clips that are trained on: how many are left after each stage, and why the others are not.

Reads summaries of shards, tables of captions and what was noted of the candidates; knows nothing of HTML.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydantic import Field

from udpdiff.clip import SPLITS, Rejection
from udpdiff.report.candidates import Reason, Stage, before_clips
from udpdiff.report.inputs import Inputs
from udpdiff.report.site import PageData
from udpdiff.storage.captions import read_captions, read_rejections

# Where a clip of the source was lost, by how its reason begins; all others are those of filters.
_FETCHING = {Rejection.DEAD_LINK, Rejection.PRIVATE, Rejection.NOT_FETCHED, Rejection.THROTTLED}
_CUTTING = {Rejection.UNREADABLE, Rejection.EMPTY_FILE, Rejection.NO_VIDEO, Rejection.TOO_SHORT, Rejection.BROKEN, Rejection.NO_CAPTION}  # fmt: skip
_OF_SOURCE = {
    "panda70m": {"download": "downloaded", "cut": "cut to clips", "filter": "clips that pass the filters"},
    "videos": {"cut": "read and cut to clips", "filter": "clips that pass the filters"},
    "scenes": {"filter": "clips that pass the filters"},
}
_OF_LABELS = {"entities": "with entities", "depth": "with depth", "captions": "with captions"}
MOST_REJECTIONS = 2000  # that can be searched


class LostClip(PageData):
    stage: str = Field(description="download, cut, filter, entities, depth or captions.")
    split: str
    clip_id: str
    reason: str


class Funnel(PageData):
    sources: dict[str, int] = Field(description="Source videos of the accepted clips, by split.")
    stages: list[Stage] = Field(description="In order; each counts the clips that passed all before it.")
    rejections: list[LostClip] = Field(description="The first of them, with their own numbers.")
    rejected: int


def funnel(inputs: Inputs) -> Funnel:
    """Count over all shards of both splits; of labels, those by the judges."""
    names = _OF_SOURCE[inputs.config.source.kind]
    alive = {split: _alive(inputs, split) for split in SPLITS}
    lost = list(_rejections(inputs, names))
    left = {
        split: len(alive[split][0] or ()) + sum(each.stage in names and each.split == split for each in lost)
        for split in SPLITS
    }
    stages = before_clips(inputs, left) or [Stage(name="scenes rendered", left=dict(left), reasons=[])]
    for key, name in names.items():
        own = [each for each in lost if each.stage == key]
        left = {split: left[split] - sum(each.split == split for each in own) for split in SPLITS}
        stages.append(Stage(name=name, left=dict(left), reasons=_reasons(own)))
    for index, (key, name) in enumerate(_OF_LABELS.items(), start=1):
        passed = {split: None if alive[split][index] is None else len(alive[split][index]) for split in SPLITS}
        stages.append(Stage(name=name, left=passed, reasons=_reasons(each for each in lost if each.stage == key)))
    return Funnel(
        sources={split: sum(each.sources for each in _summaries(inputs, "clips", split)) for split in SPLITS},
        stages=stages,
        rejections=lost[:MOST_REJECTIONS],
        rejected=len(lost),
    )


def _alive(inputs: Inputs, split: str) -> list[set[str] | None]:
    """Clip ids left by the source and after each kind of labels; None from the first on of which not every shard was read."""
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


def _rejections(inputs: Inputs, stages: Iterable[str]) -> Iterable[LostClip]:
    """Clips left out by the source, in the stages that it has, by the judges, or for want of a caption."""
    folders = {f"{kind}/{names[0]}": kind for kind, names in inputs.judges().items()} | {"clips": None}
    for summary in inputs.summaries:
        for entry in summary.rejected if summary.folder in folders else ():
            stage = folders[summary.folder] or _lost_in(entry["reason"], stages)
            yield LostClip(stage=stage, split=summary.split, clip_id=entry["clip_id"], reason=entry["reason"])
    for split in SPLITS:
        for clip_id, reason in read_rejections(inputs.caption_tables(split)).items():
            yield LostClip(stage="captions", split=split, clip_id=clip_id, reason=reason)


def _lost_in(reason: str, stages: Iterable[str]) -> str:
    """The stage of a source that lost a clip: the last where it has no other."""
    kind = _kind(reason)
    found = "download" if kind in _FETCHING else "cut" if kind in _CUTTING else "filter"
    return found if found in stages else "filter"


def _reasons(lost: Iterable[LostClip]) -> list[Reason]:
    """Reasons by how often they are given; `too still: motion 0.01, ...` counts as `too still`."""
    counts: dict[str, Counter] = {}
    for each in lost:
        first, *others = each.reason.split("; ")
        # What a site or program said may hold semicolons too.
        for part in [first, *(part for part in others if _kind(part) in list(Rejection))]:
            counts.setdefault(_kind(part), Counter())[each.split] += 1
    ranked = sorted(counts.items(), key=lambda pair: -pair[1].total())
    return [Reason(reason=reason, counts={split: found[split] for split in SPLITS}) for reason, found in ranked]


def _kind(reason: str) -> str:
    return reason.partition(":")[0].strip()


def _summaries(inputs: Inputs, folder: str, split: str) -> list:
    return [each for each in inputs.summaries if (each.folder, each.split) == (folder, split)]
