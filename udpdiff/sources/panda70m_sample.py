"""Which clips of Panda-70M are asked for: a seeded uniform sample of those that pass the gates, in one pass.

Every clip has a rank, a hash of its name and the seed; the sample is the clips of the lowest ranks. It therefore does not
depend on the order of the table, and a larger sample holds a smaller one.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from udpdiff.config.data import PandaGates
from udpdiff.jobs import ChooseClips
from udpdiff.sources.panda70m_table import PandaClip, PandaVideo, RejectedRow


@dataclass(frozen=True)
class WantedClip:
    """A clip to fetch: its name `videoID.index`, where it is, and what is known of it."""

    clip_id: str
    video_id: str
    url: str
    start: float
    end: float
    caption: str
    matching_score: float


@dataclass(frozen=True)
class Sample:
    """Wanted clips by split, in the order of their ranks; those beyond the number asked for are the reserve.

    counts: records and clips by what became of them.
    """

    train: list[WantedClip]
    evaluation: list[WantedClip]
    counts: dict[str, int]


def refusal(clip: PandaClip, gates: PandaGates, min_seconds: float) -> str | None:
    """Return the first gate that a clip fails by its metadata alone, None if it passes. The paper names no thresholds."""
    if gates.desirable_only and clip.desirable != "desirable":
        return "undesirable"
    if gates.single_shot and len(clip.shots) != 1:
        return "several shots"
    if not min_seconds <= clip.end - clip.start <= gates.max_seconds:
        return "length"
    if clip.matching_score < gates.min_matching_score:
        return "matching score"
    return None


def choose_clips(table: Iterable[PandaVideo | RejectedRow], job: ChooseClips) -> Sample:
    """Choose clips for both splits, `job.reserve` times as many again for links that turn out dead.

    No source video serves both splits. Memory grows with the sample, not with the table.

    Raises:
        ValueError: Fewer clips pass the gates than are asked for.
    """
    train, evaluation, gates, seed = job.train, job.evaluation, job.gates, job.seed
    wanted_evaluation = round(evaluation * (1 + job.reserve))
    # The last evaluation video may bring more clips than are missing.
    size = round(train * (1 + job.reserve)) + wanted_evaluation + gates.clips_per_video - 1
    counts: Counter[str] = Counter()
    lowest: list[tuple[int, str, WantedClip]] = []  # a heap whose top is the highest rank, by negated ranks
    for row in table:
        if isinstance(row, RejectedRow):
            counts[f"rejected record: {row.fault.value}"] += 1
            continue
        counts["records"] += 1
        for rank, clip in _candidates(row, job, counts):
            entry = (-rank, clip.clip_id, clip)
            if len(lowest) < size:
                heapq.heappush(lowest, entry)
            elif entry > lowest[0]:
                heapq.heapreplace(lowest, entry)
    if len(lowest) < train + evaluation:
        raise ValueError(
            f"Got {len(lowest)} clips that pass the gates, {train + evaluation} are asked for; loosen the gates or ask for"
            f" fewer. What became of the rest: {dict(counts)}"
        )
    chosen = [clip for _, _, clip in sorted(lowest, reverse=True)]
    sample = Sample(*_split(chosen, wanted_evaluation, seed), dict(counts))
    if len(sample.train) < train:
        raise ValueError(
            f"Got {len(sample.train)} training clips beside those of the evaluation videos, {train} are asked for; loosen"
            " the gates, ask for fewer or lower the reserve."
        )
    return sample


def _candidates(video: PandaVideo, job: ChooseClips, counts: Counter[str]) -> list[tuple[int, WantedClip]]:
    """The clips of one video that pass, at most `clips_per_video` of the lowest ranks."""
    passing, limit = [], job.gates.clips_per_video
    for clip in video.clips:
        if gate := refusal(clip, job.gates, job.min_seconds):
            counts[f"clip: {gate}"] += 1
            continue
        clip_id = f"{video.video_id}.{clip.index}"
        words = (video.video_id, video.url, clip.start, clip.end, clip.caption, clip.matching_score)
        passing.append((_rank(clip_id, job.seed), WantedClip(clip_id, *words)))
    passing.sort(key=lambda pair: pair[0])
    counts["clip: passed"] += len(passing[:limit])
    counts["clip: beyond clips_per_video"] += len(passing[limit:])
    return passing[:limit]


def _split(chosen: list[WantedClip], evaluation: int, seed: int) -> tuple[list[WantedClip], list[WantedClip]]:
    """Train and evaluation clips: source videos, in a random order of their own, evaluate until they give enough."""
    clips_of = Counter(clip.video_id for clip in chosen)
    evaluating, held = set(), 0
    for video_id in sorted(clips_of, key=lambda video_id: _rank(f"split:{video_id}", seed)):
        if held >= evaluation:
            break
        evaluating.add(video_id)
        held += clips_of[video_id]
    return (
        [clip for clip in chosen if clip.video_id not in evaluating],
        [clip for clip in chosen if clip.video_id in evaluating],
    )


def _rank(clip_id: str, seed: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}:{clip_id}".encode()).digest()[:8], "big")
