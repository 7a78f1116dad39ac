"""Brief and detailed captions of a shard of clips, each with its origin and its length in tokens.

Without a captioner both are the source's; a source that has no detailed one gives its brief one twice, and the origin
says so. A captioner writes the detailed one, and its first sentence is the brief one where the source has none. Prompts
for sampling stay the source's where it has a detailed caption: what a user asks for is not what a captioner saw.
Captions longer than a model reads are cut, by how much is recorded, and the whole ones are kept for people.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from udpdiff import jobs
from udpdiff.clip import RejectedClip
from udpdiff.finite import dtype_key
from udpdiff.labelling.caption_cleaning import CutCaption, split_sentences, usable_caption
from udpdiff.labelling.captioner import Captioner
from udpdiff.progress import progress
from udpdiff.storage.captions import Caption, CaptionWriter
from udpdiff.storage.failures import Failures
from udpdiff.storage.shards import ShardReader
from udpdiff.video_io import decode_mp4

FROM_BRIEF, FROM_DETAILED = "brief caption", "first sentence of detailed caption"
Cut = Callable[[str], CutCaption]


class Describer:
    """Detailed captions by a video captioner; words of no use are asked for once more, drawn at random.

    Args:
        captioner: Describes videos.
        seed: Of the second answer.
    """

    def __init__(self, captioner: Captioner, seed: int) -> None:
        self.captioner, self.seed = captioner, seed

    def ask(self, videos: list[np.ndarray], fps: float) -> list[str | None]:
        """Return the likeliest answer for each video of a batch; None for all of a batch that fails."""
        try:
            return self.captioner.caption(videos, fps, max(1, len(videos)))
        except Exception as error:  # one bad clip, or too little memory: asked one by one, `describe` tells which
            print(f"a batch of {len(videos)} clips, now asked one by one: {error}", file=sys.stderr)
            return [None] * len(videos)

    def describe(self, video: np.ndarray, fps: float, answer: str | None) -> str:
        """Return the caption in the answer, or in a second one.

        Raises:
            RejectedClip: That is of no use either.
        """
        if answer is None:
            [answer] = self.captioner.caption([video], fps)
        try:
            return usable_caption(answer)
        except RejectedClip:
            return usable_caption(self.captioner.caption([video], fps, seed=self.seed)[0])


def caption_shard(
    job: jobs.WriteCaptions, execution: jobs.Execution, cut: Cut, clips_path: str | Path, captions_path: str | Path
) -> None:
    """Write the caption table of a shard of clips, going on where a job that was stopped left off.

    Args:
        job: What the captions depend on.
        execution: Device and share of clips that may fail.
        cut: Shortens a text to what the model reads, see `caption_cleaning.cut_to_tokens`.
        clips_path: Of the clips.
        captions_path: Of the table.

    Raises:
        TooManyFailures: More clips fail than may.
        NotFinite: The captioner overflows in half precision.
        StorageError: A file is damaged or cannot be written.
    """
    with ShardReader(clips_path) as clips:
        attrs = job.as_attrs() | {"clips": clips.sha256}
        with CaptionWriter(captions_path, attrs) as table:
            remaining = [clip_id for clip_id in clips.clip_ids if clip_id not in table.done]
            if job.captions.captioner is None:
                for clip_id in progress(remaining, "captions"):
                    table.add(clip_id, *source_captions(clips, clip_id, cut))
            elif remaining:
                _describe(clips, remaining, table, cut, job, execution)


def source_captions(clips: ShardReader, clip_id: str, cut: Cut) -> tuple[Caption, Caption]:
    """Return brief and detailed caption as the source has them."""
    brief = _fit(clips.read(clip_id, "brief"), clips.attrs["source"], cut)
    detailed = clips.read(clip_id, "detailed")
    if not detailed:
        return brief, replace(brief, source=FROM_BRIEF)
    return brief, _fit(detailed, clips.attrs["source"], cut)


def described_captions(
    clips: ShardReader, clip_id: str, words: str, captioner: str, cut: Cut
) -> tuple[Caption, Caption, str]:
    """Return the source's brief caption, or the first sentence of the captioner's words, these words, and the prompt."""
    brief, own, detailed = clips.read(clip_id, "brief"), clips.read(clip_id, "detailed"), _fit(words, captioner, cut)
    prompt = cut(own).text if own else detailed.text
    if brief:
        return _fit(brief, clips.attrs["source"], cut), detailed, prompt
    return _fit(split_sentences(words)[0], FROM_DETAILED, cut), detailed, prompt


def _describe(
    clips: ShardReader,
    remaining: list[str],
    table: CaptionWriter,
    cut: Cut,
    job: jobs.WriteCaptions,
    execution: jobs.Execution,
) -> None:
    """Let the captioner write the detailed captions of some clips, a batch at a time."""
    captions, failures = job.captions, Failures(len(clips), execution.max_failed_share)
    options = captions.model_dump(include={"dtype", "instruction", "max_new_tokens"})
    describer = Describer(Captioner.from_pretrained(captions.captioner, execution.device, **options), job.seed)
    fps, size = clips.attrs["fps"], captions.batch_clips
    for first in progress(range(0, len(remaining), size), "batches of captions"):
        videos = {}
        for clip_id in remaining[first : first + size]:
            with failures.caught(clip_id):
                videos[clip_id] = decode_mp4(clips.read(clip_id, "video_mp4"))
        answers = describer.ask(list(videos.values()), fps)
        for (clip_id, video), answer in zip(videos.items(), answers, strict=True):
            with failures.caught(clip_id), dtype_key("labels.captions.dtype"):
                try:
                    words = describer.describe(video, fps, answer)
                    table.add(clip_id, *described_captions(clips, clip_id, words, captions.captioner, cut))
                except RejectedClip as rejected:
                    table.reject(clip_id, str(rejected))
    failures.list_in(table)


def _fit(text: str, source: str, cut: Cut) -> Caption:
    shortened = cut(text)
    return Caption(shortened.text, source, *shortened[1:], whole=text if shortened.cut_tokens else "")
