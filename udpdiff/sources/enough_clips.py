"""Checks that both splits hold enough clips once all are cut, and says what to change where they do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from udpdiff.clip import SPLITS, Rejection
from udpdiff.sources.filters import BOUNDS
from udpdiff.storage.sealed import write_record
from udpdiff.storage.summaries import Summary, read_summary

# A distance between sets of videos needs two in each.
LEAST = {"train": 1, "evaluation": 2}
_SHOWN_REASONS = 3
_LINKS = (Rejection.DEAD_LINK, Rejection.PRIVATE, Rejection.NOT_FETCHED, Rejection.THROTTLED)
_FILES = (Rejection.UNREADABLE, Rejection.EMPTY_FILE, Rejection.NO_VIDEO, Rejection.BROKEN)
_REMEDIES = {
    **{reason: f"loosen filters.{bound}" for reason, _, bound in BOUNDS},
    Rejection.TOO_SHORT: "bring longer videos, or ask for fewer clips.num_frames or a higher clips.fps",
    Rejection.NO_CAPTION: "give these videos a row in the csv of source.captions",
    **dict.fromkeys(_LINKS, "raise panda70m.reserve"),
    **dict.fromkeys(_FILES, "replace the files that cannot be read"),
}
_MORE = {
    "videos": "add videos",
    "panda70m": "ask for more by clips.train, clips.evaluation and panda70m.reserve, or take another seed",
}
# Where one split alone is short of a folder's films.
_SHARES = {
    ("evaluation",): "raise clips.evaluation_share, so that more films evaluate",
    ("train",): "lower clips.evaluation_share, so that more films train",
}


def check_clips(summaries: Sequence[str | Path], checked: str | Path) -> dict[str, int]:
    """Write how many clips each split holds and lost, and return how many it holds.

    Args:
        summaries: Of all shards of clips of both splits.
        checked: The record to write.

    Raises:
        ValueError: A split holds fewer clips than models and their figures need; says why, and which key to change.
        StorageError: A summary is damaged, or the record cannot be written.
    """
    found: dict[str, list[Summary]] = {split: [] for split in SPLITS}
    for summary in map(read_summary, summaries):
        found[summary.split].append(summary)
    kept = {split: sum(len(each.clips) for each in shards) for split, shards in found.items()}
    if any(kept[split] < least for split, least in LEAST.items()):
        raise ValueError(_message(found, kept))
    lost = {split: sum(len(each.rejected) for each in shards) for split, shards in found.items()}
    write_record(checked, {"clips": kept, "rejected": lost})
    return kept


def counted_reasons(reasons: Iterable[str]) -> str:
    """Return the most frequent of clips' reasons with their counts, in words: "too short 2, scene cut 1"."""
    counts = Counter(kind for reason in reasons for kind in _kinds(reason))
    return ", ".join(f"{kind} {count}" for kind, count in counts.most_common(_SHOWN_REASONS))


def _message(found: dict[str, list[Summary]], kept: dict[str, int]) -> str:
    """What was got and is needed, why, and what to do."""
    short = [split for split, least in LEAST.items() if kept[split] < least]
    sentences: list[str] = []
    reasons: list[Rejection] = []
    for split, shards in found.items():
        lost = [entry for each in shards for entry in each.rejected]
        counts = Counter(kind for entry in lost for kind in _kinds(entry["reason"]))
        most = counted_reasons(entry["reason"] for entry in lost)
        example = f"for example {lost[0]['clip_id']}: {lost[0]['reason']}" if lost else ""
        why = f" and rejected {len(lost)} ({most}; {example})" if lost else ""
        sources = sum(each.sources for each in shards)
        sentences.append(
            f"{split}: got {kept[split]} clips of {sources} source videos{why}; at least {LEAST[split]} needed"
        )
        reasons += [kind for kind, _ in counts.most_common(_SHOWN_REASONS)] if split in short else []
    remedies = [_REMEDIES[kind] for kind in reasons if kind in _REMEDIES]
    source = next((each.attrs["source"] for shards in found.values() for each in shards), "videos")
    remedies += [_MORE[source]]
    remedies += [_SHARES[tuple(short)]] if source == "videos" and tuple(short) in _SHARES else []
    return (
        f"Too few clips for the split {' and the split '.join(short)}. {'. '.join(sentences)}. What to do: "
        f"{'; '.join(dict.fromkeys(remedies))}. Then start again: what is finished is kept, unless the "
        "change asks for it anew. Every rejected clip stands with its reason in results/clips/SPLIT/SHARD.json."
    )


def _kinds(reason: str) -> list[Rejection]:
    """The reasons without their details; a filter may join several."""
    kinds = [part.partition(":")[0].strip() for part in reason.split("; ")]
    return [Rejection(kind) for kind in kinds if kind in list(Rejection)]
