"""Prompt embeddings computed during training, caption by caption, in place of stored ones.

A run draws hardly more captions than it has steps, while stored embeddings of every caption take terabytes. Rows are
those that `encode_captions` would have stored: the same prompts by the same network, rounded to float16.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from udpdiff.checkpoints import hub, local_folder
from udpdiff.files import model_digest
from udpdiff.finite import as_float16, dtype_key
from udpdiff.model.text import DTYPE_KEY, PromptEncoder
from udpdiff.storage.captions import KINDS, read_captions_and_rejections
from udpdiff.storage.dataset import EMPTY_PROMPT_ID, PLAIN_TEXT
from udpdiff.storage.digests import digest
from udpdiff.tasks import task_prompt


class LivePrompts:
    """The text encoder of one process and the captions of one split; `style` gives the streams of `LatentSource`.

    The network is loaded at the first prompt, and runs in the thread that reads batches, beside the training.

    Args:
        captions: Tables of the split.
        base: The checkpoint with tokenizer and text encoder.
        dtype: What it computes in.
        device: Of this process; None for a GPU where there is one.
    """

    def __init__(self, captions: Sequence[str | Path], base: str, dtype: str, device: str | None = None) -> None:
        self._base, self._dtype, self._device = base, dtype, device
        rows, self.rejected = read_captions_and_rejections(list(captions))
        self.texts = {clip_id: {kind: row[kind] for kind in KINDS} for clip_id, row in rows.items()}

    @cached_property
    def checksum(self) -> str:
        """Of what the rows depend on, the network's content included; it is read for this."""
        network = model_digest(local_folder(self._base, hub.TEXT), hub.TEXT)
        return digest([sorted(self.texts.items()), self.rejected, network, self._dtype])

    def style(self, name: str) -> LiveStyle:
        """Return the stream of a style of prompts: `plain`, or a task's name where prompts name the task."""
        return LiveStyle(name, self)

    def encode(self, prompt: str) -> np.ndarray:
        """Return the embedding of one prompt, float16 (L, D)."""
        with dtype_key(DTYPE_KEY):
            return as_float16(self._encoder.encode([prompt])[0], "prompt embeddings")

    @cached_property
    def _encoder(self) -> PromptEncoder:
        return PromptEncoder.from_pretrained(self._base, self._device, self._dtype)


class LiveStyle:
    """Prompts of one style as a stream of `LatentSource`.

    Attributes:
        name: Of the stream.
        shard_of: The captions of each clip, by its id, that of the empty prompt included.
        rejected: Reasons by clip id.
        checksums: One, of all that the rows depend on.
    """

    def __init__(self, style: str, prompts: LivePrompts) -> None:
        self.name = f"text {style}"
        self._task, self._prompts = None if style == PLAIN_TEXT else style, prompts
        self.shard_of = prompts.texts | {EMPTY_PROMPT_ID: dict.fromkeys(KINDS, "")}
        self.rejected = prompts.rejected

    @property
    def checksums(self) -> list[str]:
        return [digest([self.name, self._prompts.checksum])]

    def read(self, clip_id: str, kind: str, part: None = None) -> np.ndarray:
        """Return the embedding of one caption, brief or detailed, float16 (L, D).

        Raises:
            ValueError: The clip has no caption.
        """
        if clip_id not in self.shard_of:
            reason = self.rejected.get(clip_id, "it is in none of the tables")
            raise ValueError(f"Stream {self.name!r} has no clip {clip_id!r}: {reason}. See LatentSource.clip_ids.")
        prompt = self.shard_of[clip_id][kind]
        # The empty prompt names no task: it stands in for a dropped caption, as it does at sampling.
        named = self._task is not None and clip_id != EMPTY_PROMPT_ID
        return self._prompts.encode(task_prompt(prompt, self._task) if named else prompt)

    def close(self) -> None:
        """Nothing is open."""
