"""Encodes the captions of one shard with the base checkpoint's T5, plain or with a task named in the prompt."""

from __future__ import annotations

import argparse
import json

import numpy as np

from scripts.progress import progress
from udpdiff.checkpoints import resolve
from udpdiff.model.text import PromptEncoder
from udpdiff.storage.captions import read_captions, read_rejections
from udpdiff.storage.shards import ShardWriter
from udpdiff.tasks import TASKS, task_prompt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--style", required=True, choices=["plain", *TASKS])
    parser.add_argument("--settings", required=True, type=json.loads, help="json: base, device")
    parser.add_argument("--captions", required=True)
    parser.add_argument("--text", required=True)
    arguments = parser.parse_args()

    encoder = PromptEncoder.from_pretrained(resolve(arguments.settings["base"]), arguments.settings["device"])
    captions = read_captions([arguments.captions])

    def embed(caption: str) -> np.ndarray:
        styled = caption if arguments.style == "plain" else task_prompt(caption, TASKS[arguments.style])
        return encoder.encode([styled])[0].astype(np.float16)

    with ShardWriter(arguments.text, "text", {"text_style": arguments.style, "settings": arguments.settings}) as shard:
        # The empty caption stands in for a dropped one, so it is encoded as a prompt of this style would be at sampling.
        empty = encoder.encode([""])[0].astype(np.float16)
        shard.add("", {"brief": empty, "detailed": empty})
        for clip_id, texts in progress(captions.items(), "prompts", total=len(captions)):
            shard.add(clip_id, {"brief": embed(texts["brief"]), "detailed": embed(texts["detailed"])})
        for clip_id, reason in read_rejections([arguments.captions]).items():
            shard.reject(clip_id, reason)


if __name__ == "__main__":
    main()
