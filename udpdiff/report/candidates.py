"""Counts candidates before any clip is made: entries of Panda-70M's table or files of a folder, and which of them are chosen.

Of scenes there is nothing to tell: as many are rendered as are asked for. Knows nothing of what became of a clip later.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from udpdiff.clip import SPLITS
from udpdiff.report.inputs import Inputs
from udpdiff.report.site import PageData

BOTH = "both"  # instead of a split, for what is not shared out yet
_RECORD, _CLIP, _PASSED = "rejected record: ", "clip: ", "passed"
_GATES = {
    "undesirable": "marked undesirable (panda70m.gates.desirable_only)",
    "several shots": "several shots (single_shot)",
    "length": "too short or too long (clips.num_frames, max_seconds)",
    "matching score": "caption matches too little (min_matching_score)",
    "beyond clips_per_video": "more clips of one video than are taken (clips_per_video)",
}


class Reason(PageData):
    reason: str = Field(description="Without the numbers of the single clip.")
    counts: dict[str, int] = Field(description="Clips by split, or under `both`; a clip may have several reasons.")


class Stage(PageData):
    name: str
    left: dict[str, int | None] = Field(
        description="Clips left by split, under `both` where they are not split yet; null where not all shards were read."
    )
    reasons: list[Reason]
    note: str = ""


def before_clips(inputs: Inputs, tried: Mapping[str, int]) -> list[Stage]:
    """Return the stages before any clip was tried.

    Args:
        inputs: Of the report.
        tried: By split, the candidates that were tried, accepted or not.
    """
    if inputs.config.source.kind == "panda70m":
        return _of_table(inputs, tried)
    if inputs.config.source.kind == "videos":
        return _of_folder(inputs, tried)
    return []


def _of_table(inputs: Inputs, tried: Mapping[str, int]) -> list[Stage]:
    rows, counts = inputs.chosen_clips()
    drawn = {split: sum(row["split"] == split for row in rows) for split in SPLITS}
    stages = []
    if counts:  # tables that an earlier version chose from say nothing of the others
        found = {key.removeprefix(_CLIP): count for key, count in counts.items() if key.startswith(_CLIP)}
        passed = found.pop(_PASSED, 0)
        refused = [(key.removeprefix(_RECORD), count) for key, count in counts.items() if key.startswith(_RECORD)]
        words = ", ".join(f"{key.replace('_', ' ')} ({count:,})" for key, count in sorted(refused))
        note = f"Of {counts['records']:,} source videos" + (f"; records of the table that cannot be read: {words}." if words else ".")  # fmt: skip
        stages += [
            Stage(name="clips in the table", left={BOTH: passed + sum(found.values())}, reasons=[], note=note),
            Stage(
                name="clips that pass the gates",
                left={BOTH: passed},
                reasons=_ranked({_GATES.get(key, key): {BOTH: count} for key, count in found.items()}),
            ),
        ]
        lost = {"not drawn": {BOTH: passed - sum(drawn.values())}}
    else:
        lost = {}
    wanted = {split: min(getattr(inputs.config.clips, split), drawn[split]) for split in SPLITS}
    return [
        *stages,
        Stage(name="drawn at random", left=dict(drawn), reasons=_ranked(lost), note=_reserved(wanted, drawn)),
        _tried("asked for online", drawn, tried),
    ]


def _of_folder(inputs: Inputs, tried: Mapping[str, int]) -> list[Stage]:
    flow = inputs.workflow
    wanted = {split: sum(map(len, flow.chosen.shards[split])) for split in SPLITS}
    drawn = {split: wanted[split] + sum(map(len, flow.chosen.reserves[split])) for split in SPLITS}
    return [
        Stage(name="video files in the folder", left={BOTH: len(flow.files)}, reasons=[], note=" ".join(flow.notices())),
        Stage(
            name="files drawn at random",
            left=dict(drawn),
            reasons=_ranked({"not drawn": {BOTH: flow.chosen.unused}}),
            note=_reserved(wanted, drawn),
        ),
        _tried("files opened", drawn, tried),
    ]  # fmt: skip


def _tried(name: str, drawn: Mapping[str, int], tried: Mapping[str, int]) -> Stage:
    spared = {split: max(0, drawn[split] - tried[split]) for split in SPLITS}
    return Stage(name=name, left=dict(tried), reasons=_ranked({"reserve that was not needed": spared}))


def _reserved(wanted: Mapping[str, int], drawn: Mapping[str, int]) -> str:
    if wanted == drawn:
        return "No reserve."
    return f"{sum(wanted.values()):,} to serve, {sum(drawn.values()) - sum(wanted.values()):,} in reserve for those that are lost."


def _ranked(counts: Mapping[str, Mapping[str, int]]) -> list[Reason]:
    """Reasons that some clip has, the most frequent first."""
    known = {reason: found for reason, found in counts.items() if any(found.values())}
    return [
        Reason(reason=reason, counts=dict(found))
        for reason, found in sorted(known.items(), key=lambda pair: -sum(pair[1].values()))
    ]
