"""Encodes the captions of one shard with the base checkpoint's T5, plain or with a task named in the prompt."""

from __future__ import annotations

import argparse
import json

import numpy as np

from udpdiff.checkpoints import resolve
from udpdiff.model.text import PromptEncoder
from udpdiff.progress import progress
from udpdiff.storage.captions import read_captions, read_rejections
from udpdiff.storage.digests import digest
from udpdiff.storage.shards import ShardWriter
from udpdiff.tasks import TASKS, task_prompt

KINDS = ("brief", "detailed")
BATCH_CLIPS = 8  # of two prompts each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--style", required=True, choices=["plain", *TASKS])
    parser.add_argument("--settings", required=True, type=json.loads, help="json: base, device")
    parser.add_argument("--captions", required=True)
    parser.add_argument("--text", required=True)
    arguments = parser.parse_args()

    encoder = PromptEncoder.from_pretrained(resolve(arguments.settings["base"]), arguments.settings["device"])
    rows, rejections = read_captions([arguments.captions]), read_rejections([arguments.captions])
    texts = {clip_id: [row[kind] for kind in KINDS] for clip_id, row in rows.items()}

    def embed(captions: list[str]) -> list[dict[str, np.ndarray]]:
        """Brief and detailed in turn -> the embeddings of each clip."""
        task = None if arguments.style == "plain" else TASKS[arguments.style]
        styled = [task_prompt(caption, task) if task else caption for caption in captions]
        return as_pairs(encoder.encode(styled).astype(np.float16))

    attrs = {
        "text_style": arguments.style,
        "settings": arguments.settings,
        "source": digest([list(texts.items()), rejections]),
    }
    with ShardWriter(arguments.text, "text", attrs, resume=True) as shard:
        if "" not in shard.done:
            # It stands in for a dropped caption, and is encoded as a prompt of this style would be at sampling.
            [empty] = as_pairs(encoder.encode([""] * 2).astype(np.float16))
            shard.add("", empty)
        for batch in progress(shard.unfinished(list(texts), BATCH_CLIPS), "batches of prompts"):
            pairs = embed([text for clip_id in batch for text in texts[clip_id]])
            for clip_id, pair in zip(batch, pairs, strict=True):
                if clip_id not in shard.done:
                    shard.add(clip_id, pair)
        for clip_id, reason in rejections.items():
            if clip_id not in shard.done:
                shard.reject(clip_id, reason)


def as_pairs(embeddings: np.ndarray) -> list[dict[str, np.ndarray]]:
    """(2 N, L, D) -> N times brief and detailed."""
    return [dict(zip(KINDS, pair, strict=True)) for pair in embeddings.reshape(-1, 2, *embeddings.shape[1:])]


if __name__ == "__main__":
    main()
