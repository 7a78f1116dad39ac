"""Writes brief and detailed captions of one shard, each with its origin and its length in tokens of the base model.

Without a captioner both are the source's; a source that has no detailed one gives its brief one twice, and the origin
says so. A captioner writes the detailed one, and its first sentence is the brief one where the source has none.
Captions longer than the base model reads are cut, and by how much is recorded.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace

import numpy as np

from udpdiff.checkpoints import resolve
from udpdiff.clip import RejectedClip
from udpdiff.labelling.caption_cleaning import cut_to_tokens, split_sentences, usable_caption
from udpdiff.labelling.captioner import Captioner
from udpdiff.model.text import PromptLength
from udpdiff.progress import progress
from udpdiff.storage.captions import Caption, CaptionWriter
from udpdiff.storage.failures import Failures
from udpdiff.storage.shards import ShardReader
from udpdiff.video_io import decode_mp4

FROM_BRIEF, FROM_DETAILED = "brief caption", "first sentence of detailed caption"


class Describer:
    """Detailed captions by a video captioner; words of no use are asked for once more, drawn at random.

    told: captioner, instruction, max_new_tokens, dtype, device and seed as in the configuration.
    """

    def __init__(self, told: dict):
        names = ("device", "dtype", "instruction", "max_new_tokens")
        self.captioner = Captioner.from_pretrained(told["captioner"], **{name: told[name] for name in names})
        self.seed = told["seed"]

    def ask(self, videos: list[np.ndarray], fps: float) -> list[str | None]:
        """The likeliest answer for each video of a batch; None for all of a batch that fails."""
        try:
            return self.captioner.caption(videos, fps, max(1, len(videos)))
        except Exception as error:  # one bad clip, or too little memory: asked one by one, `describe` tells which
            print(f"a batch of {len(videos)} clips, now asked one by one: {error}", file=sys.stderr)
            return [None] * len(videos)

    def describe(self, video: np.ndarray, fps: float, answer: str | None) -> str:
        """The caption in the answer, or in a second one. Raises RejectedClip when that is of no use either."""
        if answer is None:
            [answer] = self.captioner.caption([video], fps)
        try:
            return usable_caption(answer)
        except RejectedClip:
            return usable_caption(self.captioner.caption([video], fps, seed=self.seed)[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, help="json: labels.captions, base, device, seed")
    parser.add_argument("--clips", required=True)
    parser.add_argument("--captions", required=True)
    arguments = parser.parse_args()

    told = arguments.settings
    length = PromptLength.from_pretrained(resolve(told["base"]), told["max_tokens"])
    with ShardReader(arguments.clips) as clips:
        attrs = {"settings": told, "clips": clips.sha256}
        with CaptionWriter(arguments.captions, attrs) as table:
            todo = [clip_id for clip_id in clips.clip_ids if clip_id not in table.done]
            if told["captioner"] is None:
                for clip_id in progress(todo, "captions"):
                    table.add(clip_id, *source_captions(clips, clip_id, length))
            else:
                describe_clips(clips, todo, table, length, told)


def describe_clips(clips: ShardReader, todo: list[str], table: CaptionWriter, length: PromptLength, told: dict) -> None:
    """Let the captioner write the detailed captions of some clips, a batch at a time."""
    describer, failures = Describer(told), Failures(len(clips), told["max_failed_share"])
    fps, size = clips.attrs["fps"], told["batch_clips"]
    for first in progress(range(0, len(todo), size), "batches of captions"):
        videos = {}
        for clip_id in todo[first : first + size]:
            with failures.caught(clip_id):
                videos[clip_id] = decode_mp4(clips.read(clip_id, "video_mp4"))
        answers = describer.ask(list(videos.values()), fps)
        for (clip_id, video), answer in zip(videos.items(), answers, strict=True):
            with failures.caught(clip_id):
                try:
                    words = describer.describe(video, fps, answer)
                    table.add(clip_id, *described_captions(clips, clip_id, length, words, told["captioner"]))
                except RejectedClip as rejected:
                    table.reject(clip_id, str(rejected))
    failures.list_in(table)


def source_captions(clips: ShardReader, clip_id: str, length: PromptLength) -> tuple[Caption, Caption]:
    """Brief and detailed caption as the source has them."""
    brief = fit(clips.read(clip_id, "brief"), clips.attrs["source"], length)
    detailed = clips.read(clip_id, "detailed")
    if not detailed:
        return brief, replace(brief, source=FROM_BRIEF)
    return brief, fit(detailed, clips.attrs["source"], length)


def described_captions(
    clips: ShardReader, clip_id: str, length: PromptLength, words: str, captioner: str
) -> tuple[Caption, Caption]:
    """The source's brief caption, or the first sentence of the captioner's words, and these words."""
    brief = clips.read(clip_id, "brief")
    if brief:
        return fit(brief, clips.attrs["source"], length), fit(words, captioner, length)
    return fit(split_sentences(words)[0], FROM_DETAILED, length), fit(words, captioner, length)


def fit(text: str, source: str, length: PromptLength) -> Caption:
    cut = cut_to_tokens(text, length.count, length.limit)
    return Caption(cut.text, source, cut.tokens, cut.cut_tokens)


if __name__ == "__main__":
    main()
