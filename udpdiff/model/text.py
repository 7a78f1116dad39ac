"""Prompt embeddings and prompt lengths as CogVideoX's pipeline makes them, without loading its other parts.

A base is given by reference: a pipeline folder, `mini:NAME` or a hub id.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from udpdiff import jobs
from udpdiff.checkpoints import hub, local_folder
from udpdiff.finite import as_float16, check_finite, dtype_key
from udpdiff.progress import progress
from udpdiff.storage.captions import KINDS, read_captions_and_rejections
from udpdiff.storage.dataset import EMPTY_PROMPT_ID, PLAIN_TEXT
from udpdiff.storage.digests import digest
from udpdiff.storage.shards import ShardWriter
from udpdiff.tasks import task_prompt

BATCH_CLIPS = 8  # of two prompts each
DTYPE_KEY = "encoding.text_dtype"


class PromptLength:
    """Counts tokens as a CogVideoX checkpoint does, end mark included, with its tokenizer alone.

    Attributes:
        limit: How many a caption may have. Where some runs name their task in the prompt, there is room for its name, so
            that every run reads the same words.
    """

    def __init__(self, tokenizer, max_tokens: int, named_tasks: Sequence[str] = ()):
        self._tokenizer = tokenizer
        longest = max((self.count(task_prompt("", task)) for task in named_tasks), default=self.count(""))
        self.limit = max_tokens - (longest - self.count(""))

    @classmethod
    def from_pretrained(cls, base: str, max_tokens: int | None = None, named_tasks: Sequence[str] = ()) -> PromptLength:
        """Return the counter of a base.

        Args:
            max_tokens: Of a prompt; None for as many as the transformer reads.
            named_tasks: Tasks that prompts may name.

        Raises:
            ValueError: The transformer does not read as many.
        """
        from transformers import T5Tokenizer

        # The file rather than the class's own loader: counting words should not load torch.
        folder = local_folder(base, hub.TOKENIZER)
        read = json.loads((Path(folder) / "transformer" / "config.json").read_text())["max_text_seq_length"]
        if max_tokens is not None and max_tokens > read:
            raise ValueError(f"Got max_tokens={max_tokens}. Expected at most {read}, which is what {base!r} reads.")
        return cls(
            T5Tokenizer.from_pretrained(folder, subfolder="tokenizer", trust_remote_code=False),
            max_tokens or read,
            named_tasks,
        )

    def count(self, text: str) -> int:
        """Return the tokens of a text without any cut."""
        return len(self._tokenizer(text, verbose=False).input_ids)


class PromptEncoder:
    """T5 encoder and tokenizer of a CogVideoX checkpoint.

    The stock pipeline's own `encode_prompt` does the work, so that cached embeddings equal those at sampling: padded to
    the transformer's text length and without an attention mask.
    """

    def __init__(self, pipeline, max_sequence_length: int):
        self._pipeline = pipeline
        self.max_sequence_length = max_sequence_length

    @classmethod
    def from_pretrained(cls, base: str, device: str | None = None, dtype: str = "float32") -> PromptEncoder:
        """Return the encoder of a base, its weights in `dtype` but for those that transformers keeps in float32."""
        import torch
        from diffusers import CogVideoXPipeline, CogVideoXTransformer3DModel

        from udpdiff.default_device import default_device

        base = local_folder(base, hub.TEXT)
        config = CogVideoXTransformer3DModel.load_config(base, subfolder="transformer")
        parts = {"transformer": None, "vae": None, "scheduler": None}
        pipeline = CogVideoXPipeline.from_pretrained(
            base, **parts, dtype=getattr(torch, dtype), trust_remote_code=False
        )
        pipeline.text_encoder.eval().requires_grad_(False).to(device or default_device())
        return cls(pipeline, config["max_text_seq_length"])

    def encode(self, prompts: list[str]) -> np.ndarray:
        """Return the embeddings of prompts, float32 (B, L, D); NotFinite where the encoder overflows."""
        import torch

        with torch.inference_mode():
            embeds, _ = self._pipeline.encode_prompt(
                prompts,
                do_classifier_free_guidance=False,
                max_sequence_length=self.max_sequence_length,
                device=self._pipeline.text_encoder.device,
            )
        check_finite(embeds, "the prompt embeddings", embeds.dtype)
        return embeds.float().cpu().numpy()


def encode_captions(job: jobs.EncodeText, execution: jobs.Execution, captions: str | Path, text: str | Path) -> None:
    """Write the prompt embeddings of one table of captions to a shard of schema `text`, resuming a stopped one.

    Both captions of each clip, with the task named in them if the job has one; and the empty prompt.
    """
    encoder = PromptEncoder.from_pretrained(job.base, execution.device, job.dtype)
    rows, rejections = read_captions_and_rejections([captions])
    texts = {clip_id: [row[kind] for kind in KINDS] for clip_id, row in rows.items()}
    attrs = {
        "text_style": job.task or PLAIN_TEXT,
        **job.as_attrs(),
        "source": digest([list(texts.items()), rejections]),
    }
    with ShardWriter(text, "text", attrs, resume=True) as shard:
        if EMPTY_PROMPT_ID not in shard.done:
            # It stands in for a dropped caption, and is encoded as a prompt of this style would be at sampling.
            [empty] = _encode_pairs(encoder, ["", ""])
            shard.add(EMPTY_PROMPT_ID, empty)
        for batch in progress(shard.unfinished(list(texts), BATCH_CLIPS), "batches of prompts"):
            prompts = [prompt for clip_id in batch for prompt in texts[clip_id]]
            if job.task:
                prompts = [task_prompt(prompt, job.task) for prompt in prompts]
            for clip_id, pair in zip(batch, _encode_pairs(encoder, prompts), strict=True):
                if clip_id not in shard.done:
                    shard.add(clip_id, pair)
        for clip_id, reason in rejections.items():
            if clip_id not in shard.done:
                shard.reject(clip_id, reason)


def _encode_pairs(encoder: PromptEncoder, prompts: list[str]) -> list[dict[str, np.ndarray]]:
    """Return the float16 embeddings of brief and detailed prompts in turn, by clip."""
    with dtype_key(DTYPE_KEY):
        embeddings = as_float16(encoder.encode(prompts), "prompt embeddings")
    return [dict(zip(KINDS, pair, strict=True)) for pair in embeddings.reshape(-1, 2, *embeddings.shape[1:])]
